"""Twitter format: written files read back the same, and every broken line is reported with its place."""

import string
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cotpd.core.errors import DataError
from cotpd.core.labels import Repair
from cotpd.core.records import Entity, Example, Relation, Span
from cotpd.corpus.defects import Defect, Severity
from cotpd.corpus.formats import twitter
from cotpd.corpus.formats.parsing.reading import Reading

from .conftest import Read, line_of

_ODD = [
    "\xa0",
    "\u200d",
    "\ufe0f",
    "\ufffd",
    "👩‍🚀",
    "a\u2028b",
    "\x85",
    "IMGID:7",
    "#",
    "-DOCSTART-",
    "e\u0301",
    " ",
    "\ufeff",
]
_WORDS = st.one_of(
    st.sampled_from(_ODD), st.text(st.characters(exclude_characters="\t\n\r", codec="utf-8"), min_size=1)
)
_LABELS = st.sampled_from(["PER", "LOC", "B-X", "O"])


@st.composite
def posts(draw: st.DrawFn, name: str = "1") -> Example:
    """Draw a post with any words and entities without overlaps. Orphans occur only where the format can mark them."""
    words = tuple(draw(st.lists(_WORDS, min_size=1, max_size=8)))
    entities: list[Entity] = []
    start = 0
    while start < len(words):
        length = draw(st.integers(0, 3))
        if length and start + length <= len(words):
            label, touches = draw(_LABELS), bool(entities) and entities[-1].span.end == start
            orphan = draw(st.booleans()) and not (touches and entities[-1].label == label)
            entities.append(Entity(Span(start, start + length), label, orphan=orphan))
        start += max(1, length)
    return Example(name, words, tuple(entities), image_id=name)


@given(
    st.lists(st.integers(0, 3), max_size=4).flatmap(
        lambda ids: st.tuples(*(posts(f"{n}x{i}") for n, i in enumerate(ids)))
    )
)
@settings(max_examples=30)
def test_written_posts_read_back_the_same(
    tmp_path_factory: pytest.TempPathFactory, examples: tuple[Example, ...]
) -> None:
    path = tmp_path_factory.mktemp("twitter") / "train.txt"
    assert twitter.write(path, examples) == Counter()
    defects: list[Defect] = []
    read_back = [row.example for row in twitter.read(path, Reading(defects.append))]
    assert read_back == list(examples)
    assert [[e.orphan for e in x.entities] for x in read_back] == [[e.orphan for e in x.entities] for x in examples]
    assert [defect for defect in defects if defect.severity is Severity.ERROR] == []


@given(
    st.binary(max_size=200) | st.text(st.sampled_from("IMGID:1 \t\nO-BPER\r\ufeff\u2028"), max_size=60).map(str.encode)
)
@settings(max_examples=40)
def test_any_bytes_give_posts_with_unique_ids(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("twitter") / "train.txt"
    path.write_bytes(content)
    defects: list[Defect] = []
    examples = [row.example for row in twitter.read(path, Reading(defects.append))]
    assert all(defect.where.startswith(f"{path}:") for defect in defects)
    assert len({example.id for example in examples}) == len(examples)
    assert all(example.words for example in examples)


def test_broken_line_is_an_error_and_its_post_is_kept(read: Read) -> None:
    for line, kind in (
        (b"word O", "spaces-for-tab"),
        (b"word", "missing-tag"),
        (b"\tO", "empty-word"),
        (b"a\tb\tO", "tab-in-word"),
        (b"word\tB", "unknown-tag"),
        (b"word\tb-PER", "unknown-tag"),
        (b"word\t", "unknown-tag"),
        (b"caf\xe9\tO", "encoding"),
    ):
        examples, defects = read("twitter", b"IMGID:1\nok\tO\n" + line + b"\nend\tO\n\nIMGID:2\nb\tB-PER\n")
        [error] = [defect for defect in defects if defect.severity is Severity.ERROR]
        assert (error.kind, line_of(error)) == (kind, 3), line
        assert [len(example.words) for example in examples] == [3, 1], line


def test_readable_oddity_is_a_warning(read: Read) -> None:
    for content, kind, line in (
        ("IMGID:1\na\tO\nIMGID:2\nb\tO\n", "missing-blank-line", 3),
        ("a\tO\n\nIMGID:2\nb\tO\n", "missing-image-id", 1),
        ("IMGID:1\n\nIMGID:2\nb\tO\n", "empty-post", 1),
        ("IMGID:1\na\tO\n\nIMGID:1\nb\tO\n", "repeated-id", 4),
        ("IMGID:1\na\tO\nb\tI-PER\n", "orphan-tag", 3),
        ("IMGID:1\na\tB-LOC\nb\tI-PER\n", "orphan-tag", 3),
        ("IMGID:1\n\xa0\tO\n", "invisible-word", 2),
        ("IMGID:1\na\tO\n\u200d\tO\n", "invisible-word", 3),
        ("IMGID:1\na\ufffd\tO\n", "replacement-character", 2),
        ("IMGID:1\na\u2028b\tO\n", "control-character", 2),
        ("IMGID:1\na\x00b\tO\n", "control-character", 2),
        ("IMGID:1\na\u202eb\tO\n", "control-character", 2),
    ):
        _, defects = read("twitter", content)
        reported = [(defect.kind, line_of(defect), defect.severity) for defect in defects]
        assert reported == [(kind, line, Severity.WARNING)], content


def test_joiners_crlf_byte_order_mark_and_blank_lines_are_no_defects(read: Read) -> None:
    content = "\ufeffIMGID:1\r\n👩\u200d🚀\tO\r\nmañana\tB-MISC\r\nאב\tI-MISC\r\n\r\n\r\nIMGID:2\r\nb\tO"
    examples, defects = read("twitter", content)
    assert defects == []
    assert examples[0] == Example("1", ("👩\u200d🚀", "mañana", "אב"), (Entity(Span(1, 3), "MISC"),), image_id="1")
    assert examples[1].words == ("b",)


def test_second_post_of_an_image_gets_an_id_of_its_own(read: Read) -> None:
    examples, _ = read("twitter", "IMGID:1\na\tO\n\nIMGID:1\nb\tO\n\nIMGID:1#2\nc\tO\n")
    assert [(example.id, example.image_id) for example in examples] == [("1", "1"), ("1#2", "1"), ("1#2#2", "1#2")]


def test_orphans_follow_the_repair(read: Read) -> None:
    for repair, count, severity in (
        (Repair.CONLLEVAL, 2, Severity.WARNING),
        (Repair.DROP, 1, Severity.WARNING),
        (Repair.STRICT, 1, Severity.ERROR),
    ):
        content = "IMGID:1\na\tB-PER\nb\tO\nc\tI-LOC\nd\tI-LOC\n"
        [example], [defect] = read("twitter", content, repair=repair)
        assert (defect.kind, defect.severity) == ("orphan-tag", severity)
        assert repair is Repair.STRICT or len(example.entities) == count


def test_bioes_tags_are_read(read: Read) -> None:
    [example], defects = read("twitter", "IMGID:1\na\tS-PER\nb\tB-LOC\nc\tE-LOC\nd\tS-LOC\n")
    assert example.entities == (Entity(Span(0, 1), "PER"), Entity(Span(1, 3), "LOC"), Entity(Span(3, 4), "LOC"))
    assert defects == []


def test_bioes_entity_without_an_end_is_an_orphan(read: Read) -> None:
    """Strict scoring of BIOES does not count such an entity, so gold must mark it."""
    [example], [defect] = read("twitter", "IMGID:1\na\tB-PER\nb\tO\nc\tS-LOC\n")
    assert [(entity.label, entity.orphan) for entity in example.entities] == [("PER", True), ("LOC", False)]
    assert (defect.kind, line_of(defect), "as BIOES requires" in defect.message) == ("orphan-tag", 2, True)


def test_mixture_of_schemes_is_reported(read: Read) -> None:
    _, [defect] = read("twitter", "IMGID:1\na\tS-PER\nb\tU-LOC\n")
    assert (defect.kind, defect.severity) == ("tag-scheme", Severity.WARNING)


def test_orphan_after_an_entity_of_its_type_counts_as_lost(tmp_path: Path) -> None:
    """An I- tag would join the two entities, so the writer uses B-."""
    first, second = Entity(Span(0, 1), "PER"), Entity(Span(1, 2), "PER", orphan=True)
    example = Example("1", ("a", "b"), (first, second), image_id="1")
    assert twitter.write(tmp_path / "a.txt", [example]) == Counter(orphans=1)
    assert [row.example for row in twitter.read(tmp_path / "a.txt", Reading(list[Defect]().append))] == [example]


def test_writer_counts_losses_and_refuses_words_with_tabs_or_line_breaks(tmp_path: Path) -> None:
    relation = Relation(Span(0, 1), Span(1, 2), "/per/loc/x")
    examples = [Example("a", ("b", "c"), relations=(relation,), image_id="1"), Example("1#2", ("d",), image_id="1")]
    assert twitter.write(tmp_path / "a.txt", examples) == Counter(relations=1, ids=1)
    for word in ("", "a\tb", "a\nb", "\r"):
        with pytest.raises(DataError, match=r"^the_id: the word .* cannot be written .*; change it"):
            twitter.write(tmp_path / "b.txt", [Example("the_id", (word,), image_id="1")])
    assert not (tmp_path / "b.txt").exists()


def test_ids_that_read_back_differently_count_as_lost(tmp_path: Path) -> None:
    for ids in (
        [("a:1", None), ("a:3", None), ("7", "7"), ("7#2", "7"), ("a:9", None)],
        [("7#2", "7"), ("7", "7")],
        [("a:1", None), ("a:2", None), ("doc", None)],
        [("7#2", "7#2"), ("7", "7"), ("7#2", "7"), ("7#3", "7"), ("7#x", "7")],
        [("7", " 7 ")],
    ):
        examples = [Example(name, ("word",), image_id=image) for name, image in ids]
        losses = twitter.write(tmp_path / "a.txt", examples)
        read_back = [row.example for row in twitter.read(tmp_path / "a.txt", Reading(list[Defect]().append))]
        assert losses["ids"] == sum(one.id != other.id for one, other in zip(examples, read_back, strict=True)), ids


def test_messages_about_a_binary_file_stay_short(read: Read) -> None:
    """A binary file given by mistake must not fill the terminal; the fixture checks the length of every message."""
    _, defects = read("twitter", b"\x00\xff\x1b[31m" * 50_000 + b"\nb\tO\rx" * 3 + b"\nc\t" + b"Z" * 5000)
    assert {"missing-tag", "unknown-tag"} <= {defect.kind for defect in defects}


def test_very_long_post_is_read(read: Read) -> None:
    word = string.ascii_letters * 2000
    [example], _ = read("twitter", f"IMGID:1\n{word}\tO\n" + "a\tO\n" * 5000)
    assert len(example.words) == 5001
