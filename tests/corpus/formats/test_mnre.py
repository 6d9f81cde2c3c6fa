"""MNRE format: lines are never executed, written files read back the same, and every broken line is reported."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cotpd.core.errors import DataError
from cotpd.core.records import NO_RELATION, Entity, Example, Relation, Span
from cotpd.corpus.corpus import Corpus
from cotpd.corpus.defects import Defect, Severity
from cotpd.corpus.formats import mnre
from cotpd.corpus.formats.parsing.reading import Reading

from .conftest import Read, line_of

LINE: dict[str, Any] = {
    "token": ["Anna", "Blum", "joins", "Ajax"],
    "h": {"name": "Anna Blum", "pos": [0, 2]},
    "t": {"name": "Ajax", "pos": [3, 4]},
    "img_id": "7.jpg",
    "relation": "/per/org/member_of",
}
_WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6) | st.sampled_from(["'", '"', "\\", "{[(", "\n"])


def lines(*values: Any) -> str:
    """Return a file with one literal per line; strings are lines already."""
    return "\n".join(value if isinstance(value, str) else repr(value) for value in values)


@st.composite
def examples(draw: st.DrawFn) -> Example:
    words = tuple(draw(st.lists(_WORDS, min_size=1, max_size=6)))
    spans = st.integers(0, len(words) - 1).flatmap(
        lambda start: st.integers(start + 1, len(words)).map(lambda end: Span(start, end))
    )
    relation = Relation(draw(spans), draw(spans), draw(st.sampled_from([NO_RELATION, "/per/per/peer"])))
    return Example("", words, relations=(relation,), image_id=draw(st.none() | st.text("ab.", min_size=1)))


@given(st.lists(examples(), max_size=4))
@settings(max_examples=30)
def test_written_pairs_read_back_the_same(tmp_path_factory: pytest.TempPathFactory, drawn: list[Example]) -> None:
    path = tmp_path_factory.mktemp("mnre") / "mnre_val .txt"
    named = [replace(example, id=f"mnre_val:{number}") for number, example in enumerate(drawn, 1)]
    assert mnre.write(path, named) == Counter()
    defects: list[Defect] = []
    assert [row.example for row in mnre.read(path, Reading(defects.append))] == named
    assert [defect for defect in defects if defect.severity is Severity.ERROR] == []


def test_each_line_is_one_pair(tmp_path: Path) -> None:
    none = {**LINE, "relation": "None", "img_id": ""}
    path = tmp_path / "mnre_val .txt"
    path.write_text(lines(LINE, "", none), encoding="utf-8")
    defects: list[Defect] = []
    first, second = (row.example for row in mnre.read(path, Reading(defects.append)))
    relation = Relation(Span(0, 2), Span(3, 4), "/per/org/member_of")
    assert first == Example("mnre_val:1", tuple(LINE["token"]), relations=(relation,), image_id="7.jpg")
    assert (second.id, second.image_id, second.relations[0].label) == ("mnre_val:3", None, NO_RELATION)
    assert defects == []


def test_code_in_a_line_is_never_executed(read: Read, tmp_path: Path) -> None:
    for line in (
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
    ):
        marker = tmp_path / "marker"
        examples, [defect] = read("mnre", lines(LINE, line.format(marker=marker)))
        assert (defect.kind, line_of(defect), defect.severity) == ("unreadable", 2, Severity.ERROR), line
        assert not marker.exists(), line
        assert len(examples) == 1, line


def test_huge_or_broken_literal_is_an_error(read: Read) -> None:
    for line in (
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
    ):
        examples, [defect] = read("mnre", lines(line, LINE))
        assert (defect.kind, line_of(defect), defect.severity) == ("unreadable", 1, Severity.ERROR), line[:40]
        assert len(examples) == 1, line[:40]


def test_brackets_in_words_do_not_count_as_nesting() -> None:
    assert mnre.parse(repr(["(" * 100, "it's [", "\\"])) == ["(" * 100, "it's [", "\\"]
    with pytest.raises(DataError, match="nested deeper than 8 levels"):
        mnre.parse("[" * 9 + "'(' " + "]" * 9)


def test_broken_line_is_an_error(read: Read) -> None:
    for change, kind, kept in (
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
    ):
        examples, [defect] = read("mnre", lines(LINE, {**LINE, **change}))
        assert (defect.kind, line_of(defect), defect.severity) == (kind, 2, Severity.ERROR), change
        assert len(examples) == 1 + kept, change


def test_crlf_tuples_surrogates_and_unknown_keys_are_read(tmp_path: Path) -> None:
    odd = repr({**LINE, "h": {"name": "Anna Blum", "pos": (0, 2)}}).replace("'joins'", "'\\d\\ud83d'")
    content = f"\ufeff{LINE!r}\r\n{odd}\r\n{ {**LINE, 'note': 1}!r}\r\n"
    (tmp_path / "a.txt").write_bytes(content.encode())
    defects: list[Defect] = []
    rows = list(mnre.read(tmp_path / "a.txt", Reading(defects.append)))
    assert [row.example.words[2] for row in rows] == ["joins", "\\d\ufffd", "joins"]
    expected = [("lone-surrogate", "2"), ("replacement-character", "2"), ("unknown-key", "3")]
    assert [(defect.kind, defect.where[-1]) for defect in defects] == expected


def test_labels_are_checked_against_the_list_of_relations(read: Read, tmp_path: Path) -> None:
    (tmp_path / mnre.LABELS).write_text('{"None": 0}', encoding="utf-8")
    examples, [defect] = read("mnre", lines(LINE))
    assert (defect.kind, defect.severity, len(examples)) == ("unknown-relation", Severity.WARNING, 1)


def test_writer_counts_losses(tmp_path: Path) -> None:
    one, two = Relation(Span(0, 1), Span(1, 2), "a"), Relation(Span(1, 2), Span(0, 1), "b")
    entity = Entity(Span(0, 1), "PER")
    posts = [Example("x", ("a", "b"), (entity,), (one, two)), Example("y", ("c",))]
    losses = mnre.write(tmp_path / "a.txt", posts)
    assert losses == {"entities": 1, "grouped relations": 1, "posts without relation": 1, "ids": 1}
    back = [row.example for row in mnre.read(tmp_path / "a.txt", Reading(lambda defect: None))]
    assert [example.relations for example in back] == [(one,), (two,)]


@pytest.mark.slow
def test_real_corpus_is_read_completely(shared: Path) -> None:
    corpus = Corpus.from_path(shared / "mnre", captioner="llava-next")
    assert [len(corpus.train), len(corpus.dev)] == [12247, 1624]
    assert corpus.defects == ()
    assert all(example.caption for example in corpus.dev)
    assert len({relation.label for example in corpus.train for relation in example.relations}) == 23


def test_a_line_beyond_the_limit_is_refused_before_it_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's parser needs a hundred times its memory."""
    monkeypatch.setattr(mnre, "MAX_LINE", 100)
    fits = "'" + "x" * 98 + "'"
    assert mnre.parse(fits) == "x" * 98
    monkeypatch.setattr(mnre, "ast", None)  # parsing would fail in another way
    with pytest.raises(DataError, match="the line has 101 characters, at most 100 are allowed"):
        mnre.parse(fits + " ")


def test_name_without_the_marks_of_its_words_is_a_warning(read: Any) -> None:
    """``pos`` decides; other releases of such corpora write names without ``@`` and ``:``."""
    line = "{{'token': ['via', '@OsloFM:', 'Mia', \"Lund's\"], 'h': {{'name': {0!r}, 'pos': [{1}]}}, "
    line += "'t': {{'name': 'Mia', 'pos': [2, 3]}}, 'relation': 'r'}}\n"
    for name, pos in (("OsloFM", "1, 2"), ("oslofm", "1, 2"), ("Mia Lund", "2, 4")):
        [example], [defect] = read("mnre", line.format(name, pos))
        assert (defect.kind, defect.severity, len(example.relations)) == ("name-differs", "warning", 1), name
    for name, pos in (("Mia", "1, 3"), ("OsloFM", "2, 3"), ("Lund", "2, 4"), ("", "2, 3"), ("@", "2, 3")):
        _, [defect] = read("mnre", line.format(name, pos))
        assert (defect.kind, defect.severity) == ("name-differs", "error"), name
