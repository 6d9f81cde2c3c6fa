"""Damaged corpus files: every reader returns examples or reports the place of the defect, and never fails otherwise.

`make fuzz` tries many more files. The binary part of a saved dataset is left out: its reader is not written for damage.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cotpd.core.errors import DataError
from cotpd.core.records import Entity, Example, Relation, Span, TargetSentiment
from cotpd.corpus.defects import Defect, RaiseOnError
from cotpd.corpus.formats import FORMATS
from cotpd.corpus.formats.parsing.reading import Reading

bounded = settings(max_examples=settings.default.max_examples // 4, derandomize=settings.default.max_examples <= 100)
"""25 examples from a fixed seed by default."""
Change = Callable[[bytes], bytes]

_NEEDS = {"hf_datasets": "datasets", "spacy_docbin": "spacy"}
_READY = [
    pytest.param(name, marks=pytest.mark.slow if name in _NEEDS else ())
    for name in FORMATS
    if name not in _NEEDS or find_spec(_NEEDS[name])
]
_FRAGMENTS = [
    b"\xff", b"\x00", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"\r", b"\n", b"\n\n", b"\t", b'"', b"'", b"\\", b"\\ud800",
    b"{", b"}", b"[", b"]", b",", b":", b"[" * 2_000, b"9" * 5_000, b"-1", b"1e999", b"NaN", b"null", b"true", b'""',
    b"{}", b"[]", b"O", b"B-PER", b"I-PER", b"T1", b"R1", b"#1 #2", b"$T$", b"IMGID:", b"-DOCSTART-", b"0",
    b"__import__('os')",
]  # fmt: skip
_WORDS = ("Anna", "Lee", "beats", "Ajax", "in", "Oslo", "👩\u200d🚀", "don't", "#tag", "e\u0301a")
_POSTS = [
    Example(
        f"{number}_1",
        _WORDS[: 6 + number],
        (Entity(Span(0, 2), "PER"), Entity(Span(3, 4), "ORG"), Entity(Span(5, 6), "LOC")),
        (Relation(Span(0, 2), Span(3, 4), "/per/org/member_of"), Relation(Span(3, 4), Span(5, 6), "None")),
        f"{number}_1",
        sentiments=(TargetSentiment(Span(0, 2), "positive"),),
    )
    for number in range(4)
]


@st.composite
def changes(draw: st.DrawFn) -> Change:
    """Draw a change of some bytes, at a relative place, so that it applies to a file of any length."""
    place, length = draw(st.floats(0, 1)), draw(st.integers(0, 12))
    fragment = draw(st.sampled_from(_FRAGMENTS))
    kind = draw(st.sampled_from(["insert", "replace", "delete", "repeat", "cut", "flip"]))

    def change(content: bytes) -> bytes:
        start = int(place * len(content))
        end = start + length
        before, middle, after = content[:start], content[start:end], content[end:]
        return {
            "insert": before + fragment + middle + after,
            "replace": before + fragment + after,
            "delete": before + after,
            "repeat": before + 3 * middle + after,
            "cut": before,
            "flip": before + bytes(255 - byte for byte in middle[:1]) + middle[1:] + after,
        }[kind]

    return change


@pytest.mark.parametrize("name", _READY)
@given(damage=st.lists(changes(), min_size=1, max_size=4), which=st.integers(0, 5))
@bounded
def test_a_damaged_file_gives_examples_or_defects_with_their_place(
    name: str, damage: list[Change], which: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("any") / f"train{FORMATS[name].suffix}"
    FORMATS[name].write(path, _POSTS)
    files = sorted(file for file in path.parent.rglob("*") if file.is_file() and file.suffix != ".arrow")
    target = files[which % len(files)]
    content = target.read_bytes()
    for change in damage:
        content = change(content)
    target.write_bytes(content)

    defects: list[Defect] = []
    try:
        rows = list(FORMATS[name].read(path, Reading(defects.append)))
    except DataError as error:  # nothing of the file can be read
        assert error.where.startswith(str(path.parent))  # noqa: PT017
        return
    for row in rows:
        assert row.example.words
        assert row.where.startswith(f"{path}")
        assert all(span.end <= len(row.example.words) for span in spans_of(row.example))
    for defect in defects:
        assert defect.where.startswith(str(path.parent)), defect
        assert defect.message.isprintable(), defect


@pytest.mark.parametrize("name", _READY)
@given(damage=st.lists(changes(), min_size=1, max_size=2))
@bounded
def test_loading_stops_at_the_first_error_with_its_line(
    name: str, damage: list[Change], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("any") / f"train{FORMATS[name].suffix}"
    FORMATS[name].write(path, _POSTS)
    target = min(file for file in path.parent.rglob("*") if file.is_file() and file.suffix != ".arrow")
    content = target.read_bytes()
    for change in damage:
        content = change(content)
    target.write_bytes(content)
    try:
        list(FORMATS[name].read(path, Reading(RaiseOnError())))
    except DataError as error:
        assert error.where.startswith(str(path.parent))  # noqa: PT017


def spans_of(example: Example) -> list[Span]:
    annotations = (*example.entities, *example.relations, *example.sentiments)
    return [span for annotation in annotations for span in annotation.spans]
