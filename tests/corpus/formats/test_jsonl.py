"""Our own JSON lines: what is written reads back the same, and every broken row is named."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from cotpd.core.records import Entity, Example, Relation, Span
from cotpd.core.splitting import split_words
from cotpd.corpus.defects import Defect, Severity
from cotpd.corpus.formats import jsonl
from cotpd.corpus.formats.parsing.reading import Reading

_TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
_LABELS = _TEXTS.filter(str.strip)


@st.composite
def examples(draw: st.DrawFn) -> Example:
    """Any post that a reader of any format gives."""
    words = tuple(draw(st.lists(_TEXTS, min_size=1, max_size=6)))
    borders = sorted(draw(st.sets(st.integers(0, len(words)))))
    spans = [Span(start, end) for start, end in pairwise(borders)]
    entities = tuple(Entity(span, draw(_LABELS), orphan=draw(st.booleans())) for span in spans if draw(st.booleans()))
    relations = tuple(Relation(span, spans[0], draw(_LABELS)) for span in spans[1:])
    return Example(draw(_TEXTS), words, entities, relations, draw(st.none() | _TEXTS))


def read(*rows: Any, path: Path) -> tuple[list[Example], list[Defect]]:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines), encoding="utf-8")
    defects: list[Defect] = []
    return [row.example for row in jsonl.read(path, Reading(defects.append))], defects


@given(st.lists(examples(), max_size=4, unique_by=lambda example: example.id))
def test_what_is_written_reads_back_the_same(tmp_path_factory: pytest.TempPathFactory, given: list[Example]) -> None:
    path = tmp_path_factory.mktemp("jsonl") / "train.jsonl"
    jsonl.write(path, given, split="train")
    defects: list[Defect] = []
    rows = list(jsonl.read(path, Reading(defects.append)))
    assert [row.example for row in rows] == given
    assert [[e.orphan for e in row.example.entities] for row in rows] == [[e.orphan for e in x.entities] for x in given]
    assert {row.split for row in rows} <= {"train"}
    assert [defect for defect in defects if defect.severity is Severity.ERROR] == []


@given(st.text(st.sampled_from("ab,.#@'1 \n👩🚀\u200d🏽🇧🇷\u0301é"), max_size=20), st.data())
def test_character_offsets_become_words(
    tmp_path_factory: pytest.TempPathFactory, text: str, data: st.DataObject
) -> None:
    """Code points, not bytes or UTF-16 units: an emoji before the name must not shift it."""
    words = split_words(text)
    if not words:
        return
    first = data.draw(st.integers(0, len(words) - 1))
    last = data.draw(st.integers(first, len(words) - 1))
    entity = {"start": words[first].start, "end": words[last].end, "label": "PER"}
    path = tmp_path_factory.mktemp("jsonl") / "a.jsonl"
    [example], defects = read({"text": text, "entities": [entity]}, path=path)
    assert example.words == tuple(word.text for word in words)
    assert example.entities == (Entity(Span(first, last + 1), "PER"),)
    assert "offsets-cut-word" not in {defect.kind for defect in defects}


def test_a_relation_names_its_arguments_in_three_ways(tmp_path: Path) -> None:
    entities = [{"start": 0, "end": 1, "label": "PER"}, {"start": 2, "end": 4, "label": "ORG"}]
    ways = [(0, 1), ([0, 1], [2, 4]), ({"start": 0, "end": 1}, {"start": 2, "end": 4})]
    relations = [{"head": head, "tail": tail, "label": "member_of"} for head, tail in ways]
    row = {"id": 7, "words": list("abcd"), "entities": entities, "relations": relations, "image": 5}
    [example], defects = read(row, path=tmp_path / "a.jsonl")
    assert example.relations == (Relation(Span(0, 1), Span(2, 4), "member_of"),) * 3
    assert (example.id, example.image_id, defects) == ("7", "5", [])


def test_offsets_that_cut_a_word_are_widened_and_reported(tmp_path: Path) -> None:
    [example], [defect] = read(
        {"text": "in Parisian", "entities": [{"start": 3, "end": 8, "label": "LOC"}]}, path=tmp_path / "a.jsonl"
    )
    assert example.entities == (Entity(Span(1, 2), "LOC"),)
    assert (defect.kind, defect.severity) == ("offsets-cut-word", Severity.WARNING)


_ENTITY = {"start": 0, "end": 1, "label": "PER"}


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ("not json", "unreadable"),
        ("[1]", "unreadable"),
        ("[" * 100_000, "unreadable"),
        ('{"words": ["a"], "id": ' + "9" * 5000 + "}", "unreadable"),
        ({"id": "x"}, "bad-row"),
        ({"words": "a b"}, "bad-row"),
        ({"words": ["a", 1]}, "bad-row"),
        ({"words": ["a"], "entities": [{"start": 0, "label": "PER"}]}, "bad-row"),
        ({"words": ["a"], "entities": [{**_ENTITY, "start": "0"}]}, "bad-row"),
        ({"words": ["a"], "entities": [{**_ENTITY, "start": True}]}, "bad-row"),
        ({"words": ["a"], "image": [5]}, "bad-row"),
        ({"words": ["a", ""]}, "empty-word"),
        ({"words": ["a"], "entities": [{**_ENTITY, "end": 2}]}, "bad-span"),
        ({"words": ["a"], "entities": [{**_ENTITY, "end": 0}]}, "bad-span"),
        ({"words": ["a"], "entities": [{**_ENTITY, "start": -1}]}, "bad-span"),
        ({"text": "a  b", "entities": [{**_ENTITY, "start": 1, "end": 3}]}, "bad-span"),
        ({"text": "a", "entities": [{**_ENTITY, "end": 2}]}, "bad-span"),
        ({"words": ["a"], "entities": [_ENTITY, {**_ENTITY, "label": "LOC"}]}, "overlap"),
        ({"words": ["a"], "entities": [{**_ENTITY, "label": " "}]}, "empty-label"),
        ({"words": ["a"], "relations": [{"head": [0, 1], "tail": [0, 1], "label": ""}]}, "empty-label"),
        ({"words": ["a"], "entities": [{**_ENTITY, "text": "b"}]}, "mention-differs"),
        ({"text": "a b", "entities": [{**_ENTITY, "text": "b"}]}, "mention-differs"),
        ({"words": ["ab", "c"], "text": "ab c", "entities": [_ENTITY]}, "bad-row"),
        ({"words": ["ab", "c"], "text": "ab c", "entities": [{**_ENTITY, "text": "ab"}, _ENTITY]}, "bad-row"),
        ({"words": ["ab"], "text": "ab", "relations": [{"head": [0, 1], "tail": [0, 1], "label": "r"}]}, "bad-row"),
        ({"words": ["ab"], "text": "ab", "entities": [{**_ENTITY, "end": 2, "text": "ab"}]}, "bad-span"),
        ('{"words": ["a"], "words": ["b"]}', "unreadable"),
        ({"words": ["a"], "relations": [{"head": 0, "tail": [0, 1], "label": "r"}]}, "bad-span"),
        ({"words": ["a"], "relations": [{"head": [0, 1, 2], "tail": [0, 1], "label": "r"}]}, "bad-span"),
    ],
)
def test_a_broken_row_is_an_error_with_its_place(row: Any, kind: str, tmp_path: Path) -> None:
    found, defects = read({"words": ["ok"]}, row, {"words": ["ok"]}, path=tmp_path / "a.jsonl")
    assert [(d.kind, d.where, d.severity) for d in defects] == [(kind, f"{tmp_path / 'a.jsonl'}:2", Severity.ERROR)]
    assert len(found) >= 2, "the rows around it are kept"


def test_names_tell_that_offsets_beside_words_and_text_count_words(tmp_path: Path) -> None:
    entities = [{**_ENTITY, "text": "Anna"}, {"start": 1, "end": 2, "label": "ORG", "text": "Ajax"}]
    relations = [{"head": head, "tail": tail, "label": "member_of"} for head, tail in ((0, 1), ([0, 1], [1, 2]))]
    row = {"words": ["Anna", "Ajax"], "text": "Anna Ajax", "entities": entities, "relations": relations}
    [example], defects = read(row, path=tmp_path / "a.jsonl")
    assert [entity.span for entity in example.entities] == [Span(0, 1), Span(1, 2)]
    assert (example.relations, defects) == ((Relation(Span(0, 1), Span(1, 2), "member_of"),) * 2, [])


def test_a_value_nested_too_deep_is_an_error_with_its_place() -> None:
    """JSON is read a little deeper than it is written."""
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    defects: list[Defect] = []
    assert Reading(defects.append).fitting({"words": nested}, "a.jsonl:1", _Words) is None
    assert [(d.kind, d.where, d.severity) for d in defects] == [("bad-row", "a.jsonl:1", Severity.ERROR)]


class _Words(BaseModel):
    words: list[str]


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({"words": []}, "empty-post"),
        ({"text": " \n"}, "empty-post"),
        ({"words": ["New York"]}, "space-in-word"),
        ({"words": ["a"], "voice": "fan"}, "unknown-key"),
        ({"words": ["a", "b"], "text": "a c"}, "text-differs"),
        ('{"words": ["a\\ud83d"]}', "lone-surrogate"),
        ({"words": ["a", "\xa0"]}, "invisible-word"),
        ({"words": ["ok"], "id": "a:1"}, "repeated-id"),
    ],
)
def test_an_oddity_is_a_warning_with_its_place(row: Any, kind: str, tmp_path: Path) -> None:
    found, defects = read({"words": ["ok"]}, row, path=tmp_path / "a.jsonl")
    assert (kind, f"{tmp_path / 'a.jsonl'}:2", Severity.WARNING) in [(d.kind, d.where, d.severity) for d in defects]
    assert {d.severity for d in defects} == {Severity.WARNING}
    " ".join(word for example in found for word in example.words).encode("utf-8")
