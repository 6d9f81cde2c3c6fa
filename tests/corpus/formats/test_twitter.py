"""The Twitter format: what is written reads back the same, and every broken line is named."""

import string
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cotpd.core.errors import DataError
from cotpd.core.labels import Repair
from cotpd.core.records import Entity, Example, Relation, Span
from cotpd.corpus.defects import Defect, Severity
from cotpd.corpus.formats import twitter
from cotpd.corpus.formats.parsing.reading import Reading

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
    """A post with any words and entities that do not overlap, some orphans where the format can tell."""
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


def read(content: str | bytes, path: Path, repair: Repair = Repair.CONLLEVAL) -> tuple[list[Example], list[Defect]]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    defects: list[Defect] = []
    rows = list(twitter.read(path, Reading(defects.append, repair)))
    return [row.example for row in rows], defects


@given(
    st.lists(st.integers(0, 3), max_size=4).flatmap(
        lambda ids: st.tuples(*(posts(f"{n}x{i}") for n, i in enumerate(ids)))
    )
)
def test_what_is_written_reads_back_the_same(
    tmp_path_factory: pytest.TempPathFactory, examples: tuple[Example, ...]
) -> None:
    path = tmp_path_factory.mktemp("twitter") / "train.txt"
    assert twitter.write(path, examples) == Counter()
    defects: list[Defect] = []
    found = [row.example for row in twitter.read(path, Reading(defects.append))]
    assert found == list(examples)
    assert [[e.orphan for e in x.entities] for x in found] == [[e.orphan for e in x.entities] for x in examples]
    assert [defect for defect in defects if defect.severity is Severity.ERROR] == []


@given(
    st.binary(max_size=200) | st.text(st.sampled_from("IMGID:1 \t\nO-BPER\r\ufeff\u2028"), max_size=60).map(str.encode)
)
def test_no_file_breaks_the_reader(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Whatever the bytes are: posts and defects, or a clear error."""
    path = tmp_path_factory.mktemp("twitter") / "train.txt"
    examples, defects = read(content, path)
    assert all(defect.where.startswith(f"{path}:") for defect in defects)
    assert len({example.id for example in examples}) == len(examples)
    assert all(example.words for example in examples)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("word O", "spaces-for-tab"),
        ("word", "missing-tag"),
        ("\tO", "empty-word"),
        ("a\tb\tO", "tab-in-word"),
        ("word\tB", "unknown-tag"),
        ("word\tb-PER", "unknown-tag"),
        ("word\t", "unknown-tag"),
        (b"caf\xe9\tO", "encoding"),
    ],
)
def test_a_broken_line_is_an_error_with_its_place(line: str | bytes, kind: str, tmp_path: Path) -> None:
    line = line if isinstance(line, bytes) else line.encode()
    examples, defects = read(b"IMGID:1\nok\tO\n" + line + b"\nend\tO\n\nIMGID:2\nb\tB-PER\n", tmp_path / "a.txt")
    [error] = [defect for defect in defects if defect.severity is Severity.ERROR]
    assert (error.kind, error.where) == (kind, f"{tmp_path / 'a.txt'}:3")
    assert [len(example.words) for example in examples] == [3, 1], "the post is kept, whatever the line"


@pytest.mark.parametrize(
    ("content", "kind", "line"),
    [
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
    ],
)
def test_an_oddity_is_a_warning_with_its_place(content: str, kind: str, line: int, tmp_path: Path) -> None:
    _, defects = read(content, tmp_path / "a.txt")
    found = [(defect.kind, defect.where, defect.severity) for defect in defects]
    assert found == [(kind, f"{tmp_path / 'a.txt'}:{line}", Severity.WARNING)]


def test_a_plain_file_has_no_defect(tmp_path: Path) -> None:
    """Joiners, accents, CRLF, a BOM, two blank lines and no line feed at the end are all right."""
    content = "\ufeffIMGID:1\r\n👩\u200d🚀\tO\r\nmañana\tB-MISC\r\nאב\tI-MISC\r\n\r\n\r\nIMGID:2\r\nb\tO"
    examples, defects = read(content, tmp_path / "a.txt")
    assert defects == []
    assert examples[0] == Example("1", ("👩\u200d🚀", "mañana", "אב"), (Entity(Span(1, 3), "MISC"),), image_id="1")
    assert examples[1].words == ("b",)


def test_a_repeated_image_makes_a_second_id(tmp_path: Path) -> None:
    examples, _ = read("IMGID:1\na\tO\n\nIMGID:1\nb\tO\n\nIMGID:1#2\nc\tO\n", tmp_path / "a.txt")
    assert [(example.id, example.image_id) for example in examples] == [("1", "1"), ("1#2", "1"), ("1#2#2", "1#2")]


@pytest.mark.parametrize(("repair", "count"), [(Repair.CONLLEVAL, 2), (Repair.DROP, 1)])
def test_orphans_follow_the_repair_and_are_counted(repair: Repair, count: int, tmp_path: Path) -> None:
    [example], defects = read("IMGID:1\na\tB-PER\nb\tO\nc\tI-LOC\nd\tI-LOC\n", tmp_path / "a.txt", repair)
    assert len(example.entities) == count
    assert [defect.kind for defect in defects] == ["orphan-tag"]


def test_strict_repair_makes_an_orphan_an_error(tmp_path: Path) -> None:
    _, [defect] = read("IMGID:1\nc\tI-LOC\n", tmp_path / "a.txt", Repair.STRICT)
    assert (defect.kind, defect.severity) == ("orphan-tag", Severity.ERROR)


def test_bioes_tags_are_read(tmp_path: Path) -> None:
    [example], defects = read("IMGID:1\na\tS-PER\nb\tB-LOC\nc\tE-LOC\nd\tS-LOC\n", tmp_path / "a.txt")
    assert example.entities == (Entity(Span(0, 1), "PER"), Entity(Span(1, 3), "LOC"), Entity(Span(3, 4), "LOC"))
    assert defects == []


def test_an_entity_that_nothing_ends_is_reported_in_bioes(tmp_path: Path) -> None:
    """Strict scoring of BIOES does not count it: kept in silence, gold would have one entity more."""
    [example], [defect] = read("IMGID:1\na\tB-PER\nb\tO\nc\tS-LOC\n", tmp_path / "a.txt")
    assert [(entity.label, entity.orphan) for entity in example.entities] == [("PER", True), ("LOC", False)]
    assert (defect.kind, defect.where[-1], "nothing ends in BIOES" in defect.message) == ("orphan-tag", "2", True)


def test_a_mixture_of_schemes_is_reported(tmp_path: Path) -> None:
    _, [defect] = read("IMGID:1\na\tS-PER\nb\tU-LOC\n", tmp_path / "a.txt")
    assert (defect.kind, defect.severity) == ("tag-scheme", Severity.WARNING)


def test_an_orphan_behind_its_own_type_is_counted(tmp_path: Path) -> None:
    """An I- there would join the two entities, so it is written as a B-."""
    first, second = Entity(Span(0, 1), "PER"), Entity(Span(1, 2), "PER", orphan=True)
    example = Example("1", ("a", "b"), (first, second), image_id="1")
    assert twitter.write(tmp_path / "a.txt", [example]) == Counter(orphans=1)
    assert read((tmp_path / "a.txt").read_bytes(), tmp_path / "a.txt")[0] == [example]


def test_what_the_format_cannot_hold_is_counted_or_refused(tmp_path: Path) -> None:
    relation = Relation(Span(0, 1), Span(1, 2), "/per/loc/x")
    examples = [Example("a", ("b", "c"), relations=(relation,), image_id="1"), Example("1#2", ("d",), image_id="1")]
    assert twitter.write(tmp_path / "a.txt", examples) == Counter(relations=1, ids=1)
    for word in ("", "a\tb", "a\nb", "\r"):
        with pytest.raises(DataError, match=r"^the_id: .*cannot be written"):
            twitter.write(tmp_path / "b.txt", [Example("the_id", (word,), image_id="1")])
    assert not (tmp_path / "b.txt").exists()


@pytest.mark.parametrize(
    "ids",
    [
        [("a:1", None), ("a:3", None), ("7", "7"), ("7#2", "7"), ("a:9", None)],
        [("7#2", "7"), ("7", "7")],
        [("a:1", None), ("a:2", None), ("doc", None)],
        [("7#2", "7#2"), ("7", "7"), ("7#2", "7"), ("7#3", "7"), ("7#x", "7")],
        [("7", " 7 ")],
    ],
)
def test_the_ids_lost_are_those_that_read_back_otherwise(ids: list[tuple[str, str | None]], tmp_path: Path) -> None:
    examples = [Example(name, ("word",), image_id=image) for name, image in ids]
    losses = twitter.write(tmp_path / "a.txt", examples)
    found, _ = read((tmp_path / "a.txt").read_bytes(), tmp_path / "a.txt")
    assert losses["ids"] == sum(one.id != other.id for one, other in zip(examples, found, strict=True))


def test_a_message_stays_one_short_line(tmp_path: Path) -> None:
    """A binary file given by mistake must not fill the terminal."""
    _, defects = read(b"\x00\xff\x1b[31m" * 50_000 + b"\nb\tO\rx" * 3 + b"\nc\t" + b"Z" * 5000, tmp_path / "a.txt")
    assert {"missing-tag", "unknown-tag"} <= {defect.kind for defect in defects}
    assert all(len(defect.message) < 300 and defect.message.isprintable() for defect in defects)


def test_a_very_long_post_is_read(tmp_path: Path) -> None:
    word = string.ascii_letters * 2000
    [example], _ = read(f"IMGID:1\n{word}\tO\n" + "a\tO\n" * 5000, tmp_path / "a.txt")
    assert len(example.words) == 5001
