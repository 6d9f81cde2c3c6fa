"""MNRE: lines are data, never code; what is written reads back the same, and every broken line is named."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cotpd.core.errors import DataError
from cotpd.core.records import NO_RELATION, Entity, Example, Relation, Span
from cotpd.corpus.corpus import Corpus
from cotpd.corpus.defects import Defect, Severity
from cotpd.corpus.formats import mnre
from cotpd.corpus.formats.parsing.reading import Reading

LINE: dict[str, Any] = {
    "token": ["Anna", "Blum", "joins", "Ajax"],
    "h": {"name": "Anna Blum", "pos": [0, 2]},
    "t": {"name": "Ajax", "pos": [3, 4]},
    "img_id": "7.jpg",
    "relation": "/per/org/member_of",
}
_WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6) | st.sampled_from(["'", '"', "\\", "{[(", "\n"])


def read(*lines: Any, path: Path) -> tuple[list[Example], list[Defect]]:
    path.write_text("\n".join(line if isinstance(line, str) else repr(line) for line in lines), encoding="utf-8")
    defects: list[Defect] = []
    return [row.example for row in mnre.read(path, Reading(defects.append))], defects


@st.composite
def examples(draw: st.DrawFn) -> Example:
    words = tuple(draw(st.lists(_WORDS, min_size=1, max_size=6)))
    spans = st.integers(0, len(words) - 1).flatmap(
        lambda start: st.integers(start + 1, len(words)).map(lambda end: Span(start, end))
    )
    relation = Relation(draw(spans), draw(spans), draw(st.sampled_from([NO_RELATION, "/per/per/peer"])))
    return Example("", words, relations=(relation,), image_id=draw(st.none() | st.text("ab.", min_size=1)))


@given(st.lists(examples(), max_size=4))
def test_what_is_written_reads_back_the_same(tmp_path_factory: pytest.TempPathFactory, found: list[Example]) -> None:
    path = tmp_path_factory.mktemp("mnre") / "mnre_val .txt"
    named = [replace(example, id=f"mnre_val:{number}") for number, example in enumerate(found, 1)]
    assert mnre.write(path, named) == Counter()
    defects: list[Defect] = []
    assert [row.example for row in mnre.read(path, Reading(defects.append))] == named
    assert [defect for defect in defects if defect.severity is Severity.ERROR] == []


def test_a_line_is_one_pair_of_a_post(tmp_path: Path) -> None:
    none = {**LINE, "relation": "None", "img_id": ""}
    found, defects = read(LINE, "", none, path=tmp_path / "mnre_val .txt")
    relation = Relation(Span(0, 2), Span(3, 4), "/per/org/member_of")
    assert found[0] == Example("mnre_val:1", tuple(LINE["token"]), relations=(relation,), image_id="7.jpg")
    assert (found[1].id, found[1].image_id, found[1].relations[0].label) == ("mnre_val:3", None, NO_RELATION)
    assert defects == []


@pytest.mark.parametrize(
    "line",
    [
        "__import__('os').system('touch {marker}')",
        "{{'token': [__import__('os').system('touch {marker}')]}}",
        "{{'token': [open('{marker}', 'w')]}}",
        "[open('{marker}', 'w') for _ in 'a']",
        "(lambda: open('{marker}', 'w'))()",
        'f\'{{open("{marker}", "w")}}\'',
        "'' 'a'.__class__",
        "'%s' % 1",
        "(x := open('{marker}', 'w'))",
        "{{'a': 1}}; open('{marker}', 'w')",
        "{{'a': 1}} if open('{marker}', 'w') else 2",
        "{{**open('{marker}', 'w')}}",
        "b'x'",
        "1j",
        "...",
        "{{'a': 1}} # a comment",
    ],
)
def test_a_hostile_line_runs_nothing(line: str, tmp_path: Path) -> None:
    """Fault 25: a published loader calls `eval` on each line."""
    marker = tmp_path / "marker"
    found, [defect] = read(LINE, line.format(marker=marker), path=tmp_path / "a.txt")
    assert (defect.kind, defect.where, defect.severity) == ("unreadable", f"{tmp_path / 'a.txt'}:2", Severity.ERROR)
    assert not marker.exists()
    assert len(found) == 1
    assert len(defect.message) < 300


@pytest.mark.parametrize(
    "line",
    [
        "[" * 50_000,
        "[" * 9 + "]" * 9,
        "{'a': " * 5000 + "1" + "}" * 5000,
        "-" * 100_000 + "1",
        "1" + "+1" * 100_000,
        "[1" + "-1" * 100_000 + "]",
        "not " * 50_000 + "1",
        "'" + "a" * 600_000 + "'",
        "[" + "1," * 300_000 + "]",
        "9" * 10_000,
        "10**10**10",
        "'a' * 10**10",
        "{[]: 1}",
        "'\\x'",
        "'unclosed",
        "\x00",
        "1 2",
        "{'relation': 'a', 'relation': 'b'}",
        "[1, 2]",
        "{1: 2}",
        "None",
    ],
    ids=range(21),
)
def test_a_huge_or_broken_literal_is_refused(line: str, tmp_path: Path) -> None:
    found, [defect] = read(line, LINE, path=tmp_path / "a.txt")
    assert (defect.kind, defect.where, defect.severity) == ("unreadable", f"{tmp_path / 'a.txt'}:1", Severity.ERROR)
    assert len(found) == 1
    assert len(defect.message) < 400


def test_brackets_in_words_are_no_nesting() -> None:
    assert mnre.parse(repr(["(" * 100, "it's [", "\\"])) == ["(" * 100, "it's [", "\\"]
    with pytest.raises(DataError, match="nested deeper"):
        mnre.parse("[" * 9 + "'(' " + "]" * 9)


@pytest.mark.parametrize(
    ("change", "kind", "kept"),
    [
        ({"h": {"name": "Anna", "pos": [0, 2]}}, "name-differs", 1),
        ({"h": {"name": "Anna", "pos": [0, 0]}}, "bad-span", 0),
        ({"h": {"name": "Anna", "pos": [-1, 1]}}, "bad-span", 0),
        ({"h": {"name": "Anna", "pos": [0, 9]}}, "bad-span", 0),
        ({"h": {"name": "Anna", "pos": [0]}}, "bad-span", 0),
        ({"h": {"name": "Anna"}}, "bad-row", 0),
        ({"token": "Anna Blum joins Ajax"}, "bad-row", 0),
        ({"relation": 4}, "bad-row", 0),
        ({"img_id": {1}}, "bad-row", 0),
        ({"token": {"a", "b"}}, "bad-row", 0),
        ({"more": {(1, 2): 3}}, "bad-row", 0),
        ({"relation": " "}, "empty-label", 0),
        ({"token": ["Anna", "Blum", "", "Ajax"]}, "empty-word", 1),
    ],
)
def test_a_broken_line_is_an_error_with_its_place(change: dict[str, Any], kind: str, kept: int, tmp_path: Path) -> None:
    found, [defect] = read(LINE, {**LINE, **change}, path=tmp_path / "a.txt")
    assert (defect.kind, defect.where, defect.severity) == (kind, f"{tmp_path / 'a.txt'}:2", Severity.ERROR)
    assert len(found) == 1 + kept


def test_odd_files_are_read(tmp_path: Path) -> None:
    """CRLF, a BOM, tuples, escapes that Python warns of, halves of characters, keys that nobody knows."""
    odd = repr({**LINE, "h": {"name": "Anna Blum", "pos": (0, 2)}}).replace("'joins'", "'\\d\\ud83d'")
    content = f"\ufeff{LINE!r}\r\n{odd}\r\n{ {**LINE, 'note': 1}!r}\r\n"
    (tmp_path / "a.txt").write_bytes(content.encode())
    defects: list[Defect] = []
    rows = list(mnre.read(tmp_path / "a.txt", Reading(defects.append)))
    assert [row.example.words[2] for row in rows] == ["joins", "\\d\ufffd", "joins"]
    expected = [("lone-surrogate", "2"), ("replacement-character", "2"), ("unknown-key", "3")]
    assert [(defect.kind, defect.where[-1]) for defect in defects] == expected


def test_labels_are_checked_against_the_list_beside(tmp_path: Path) -> None:
    (tmp_path / mnre.LABELS).write_text('{"None": 0}', encoding="utf-8")
    found, [defect] = read(LINE, path=tmp_path / "a.txt")
    assert (defect.kind, defect.severity, len(found)) == ("unknown-relation", Severity.WARNING, 1)


def test_what_the_format_cannot_hold_is_counted(tmp_path: Path) -> None:
    one, two = Relation(Span(0, 1), Span(1, 2), "a"), Relation(Span(1, 2), Span(0, 1), "b")
    entity = Entity(Span(0, 1), "PER")
    posts = [Example("x", ("a", "b"), (entity,), (one, two)), Example("y", ("c",))]
    losses = mnre.write(tmp_path / "a.txt", posts)
    assert losses == {"entities": 1, "grouped relations": 1, "posts without relation": 1, "ids": 1}
    back = [row.example for row in mnre.read(tmp_path / "a.txt", Reading(lambda defect: None))]
    assert [example.relations for example in back] == [(one,), (two,)]


def test_the_real_corpus_is_read_whole(shared: Path) -> None:
    corpus = Corpus.from_path(shared / "mnre", captioner="llava-next")
    assert [len(corpus.train), len(corpus.dev)] == [12247, 1624]
    assert corpus.defects == ()
    assert all(example.caption for example in corpus.dev)
    assert len({relation.label for example in corpus.train for relation in example.relations}) == 23
