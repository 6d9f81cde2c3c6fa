"""JSONL format: written files read back the same, and every broken row is reported with its place."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from cotpd.core.records import Entity, Example, Relation, Span
from cotpd.core.splitting import split_words
from cotpd.corpus.defects import Defect, Severity
from cotpd.corpus.formats import jsonl
from cotpd.corpus.formats.parsing.reading import Reading

from .conftest import Read, line_of

_TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
_LABELS = _TEXTS.filter(str.strip)


@st.composite
def examples(draw: st.DrawFn) -> Example:
    """Draw any post that a reader may return."""
    words = tuple(draw(st.lists(_TEXTS, min_size=1, max_size=6)))
    borders = sorted(draw(st.sets(st.integers(0, len(words)))))
    spans = [Span(start, end) for start, end in pairwise(borders)]
    entities = tuple(Entity(span, draw(_LABELS), orphan=draw(st.booleans())) for span in spans if draw(st.booleans()))
    relations = tuple(Relation(span, spans[0], draw(_LABELS)) for span in spans[1:])
    return Example(draw(_TEXTS), words, entities, relations, draw(st.none() | _TEXTS))


def rows(*values: Any) -> str:
    """Return a file with one value per line; strings are lines already."""
    return "\n".join(value if isinstance(value, str) else json.dumps(value) for value in values)


@given(st.lists(examples(), max_size=4, unique_by=lambda example: example.id))
@settings(max_examples=30)
def test_written_posts_read_back_the_same(tmp_path_factory: pytest.TempPathFactory, given: list[Example]) -> None:
    path = tmp_path_factory.mktemp("jsonl") / "train.jsonl"
    jsonl.write(path, given, split="train")
    defects: list[Defect] = []
    parsed = list(jsonl.read(path, Reading(defects.append)))
    assert [row.example for row in parsed] == given
    assert [[e.orphan for e in row.example.entities] for row in parsed] == [
        [e.orphan for e in x.entities] for x in given
    ]
    assert {row.split for row in parsed} <= {"train"}
    assert [defect for defect in defects if defect.severity is Severity.ERROR] == []


@given(st.text(st.sampled_from("ab,.#@'1 \n👩🚀\u200d🏽🇧🇷\u0301é"), max_size=20), st.data())
@settings(max_examples=40)
def test_character_offsets_count_code_points(
    tmp_path_factory: pytest.TempPathFactory, text: str, data: st.DataObject
) -> None:
    """Not bytes or UTF-16 units: an emoji before a name must not shift it."""
    words = split_words(text)
    if not words:
        return
    first = data.draw(st.integers(0, len(words) - 1))
    last = data.draw(st.integers(first, len(words) - 1))
    entity = {"start": words[first].start, "end": words[last].end, "label": "PER"}
    path = tmp_path_factory.mktemp("jsonl") / "a.jsonl"
    path.write_text(rows({"text": text, "entities": [entity]}), encoding="utf-8")
    defects: list[Defect] = []
    [example] = [row.example for row in jsonl.read(path, Reading(defects.append))]
    assert example.words == tuple(word.text for word in words)
    assert example.entities == (Entity(Span(first, last + 1), "PER"),)
    assert "offsets-cut-word" not in {defect.kind for defect in defects}


def test_relation_arguments_have_three_forms(read: Read) -> None:
    entities = [{"start": 0, "end": 1, "label": "PER"}, {"start": 2, "end": 4, "label": "ORG"}]
    ways = [(0, 1), ([0, 1], [2, 4]), ({"start": 0, "end": 1}, {"start": 2, "end": 4})]
    relations = [{"head": head, "tail": tail, "label": "member_of"} for head, tail in ways]
    row = {"id": 7, "words": list("abcd"), "entities": entities, "relations": relations, "image": 5}
    [example], defects = read("jsonl", rows(row))
    assert example.relations == (Relation(Span(0, 1), Span(2, 4), "member_of"),) * 3
    assert (example.id, example.image_id, defects) == ("7", "5", [])


def test_offsets_within_a_word_are_extended_to_it(read: Read) -> None:
    [example], [defect] = read(
        "jsonl", rows({"text": "in Parisian", "entities": [{"start": 3, "end": 8, "label": "LOC"}]})
    )
    assert example.entities == (Entity(Span(1, 2), "LOC"),)
    assert (defect.kind, defect.severity) == ("offsets-cut-word", Severity.WARNING)


_ENTITY = {"start": 0, "end": 1, "label": "PER"}


def test_broken_row_is_an_error_and_the_others_are_kept(read: Read) -> None:
    for row, kind in (
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
    ):
        examples, defects = read("jsonl", rows({"words": ["ok"]}, row, {"words": ["ok"]}))
        assert [(d.kind, line_of(d), d.severity) for d in defects] == [(kind, 2, Severity.ERROR)], row
        assert len(examples) >= 2, row


def test_offsets_count_words_if_entities_of_a_row_with_words_and_text_have_texts(read: Read) -> None:
    entities = [{**_ENTITY, "text": "Anna"}, {"start": 1, "end": 2, "label": "ORG", "text": "Ajax"}]
    relations = [{"head": head, "tail": tail, "label": "member_of"} for head, tail in ((0, 1), ([0, 1], [1, 2]))]
    row = {"words": ["Anna", "Ajax"], "text": "Anna Ajax", "entities": entities, "relations": relations}
    [example], defects = read("jsonl", rows(row))
    assert [entity.span for entity in example.entities] == [Span(0, 1), Span(1, 2)]
    assert (example.relations, defects) == ((Relation(Span(0, 1), Span(1, 2), "member_of"),) * 2, [])


def test_deeply_nested_value_is_an_error() -> None:
    """The JSON reader accepts deeper nesting than the writer."""
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    defects: list[Defect] = []
    assert Reading(defects.append).validate({"words": nested}, "a.jsonl:1", _Words) is None
    assert [(d.kind, d.where, d.severity) for d in defects] == [("bad-row", "a.jsonl:1", Severity.ERROR)]


class _Words(BaseModel):
    words: list[str]


def test_readable_oddity_is_a_warning(read: Read) -> None:
    for row, kind in (
        ({"words": []}, "empty-post"),
        ({"text": " \n"}, "empty-post"),
        ({"words": ["New York"]}, "space-in-word"),
        ({"words": ["a"], "voice": "fan"}, "unknown-key"),
        ({"words": ["a", "b"], "text": "a c"}, "text-differs"),
        ('{"words": ["a\\ud83d"]}', "lone-surrogate"),
        ({"words": ["a", "\xa0"]}, "invisible-word"),
        ({"words": ["ok"], "id": "a:1"}, "repeated-id"),
    ):
        examples, defects = read("jsonl", rows({"words": ["ok"]}, row))
        assert (kind, 2) in [(d.kind, line_of(d)) for d in defects], row
        assert {d.severity for d in defects} == {Severity.WARNING}, row
        " ".join(word for example in examples for word in example.words).encode("utf-8")
