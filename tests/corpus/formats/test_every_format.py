"""Properties of all formats: a written file reads back the same, except for the losses that the writer counts."""

from collections import Counter
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cotpd.core.records import NO_RELATION, Entity, Example, Relation, Span
from cotpd.corpus.defects import Defect, Severity
from cotpd.corpus.formats import FORMATS, recognise
from cotpd.corpus.formats.parsing.reading import Reading

_WORDS = st.sampled_from(
    [
        "Anna",
        "Ajax",
        "#tag",
        "#",
        "@",
        "don't",
        "10,000",
        "👩\u200d🚀",
        "e\u0301a",
        "\xa0",
        "\u200d",
        "a\u2028b",
        "{",
        '"',
        "'",
    ]
) | st.sampled_from(["-DOCSTART-", "IMGID:7", "\\", "T1", "\ufeff", "אב", "&amp;", "_", "O"])
_LABELS = st.sampled_from(["PER", "LOC", "B-X"])
_NAMES = st.text("ab", min_size=1, max_size=3)

_OWN_TESTS = ("tombert",)
"""Formats without entities and relations."""
_NEEDS = {"hf_datasets": "datasets", "spacy_docbin": "spacy"}
READY = [name for name in FORMATS if name not in _OWN_TESTS and (name not in _NEEDS or find_spec(_NEEDS[name]))]
"""The formats whose package is installed, except those with tests of their own."""


@st.composite
def examples(draw: st.DrawFn) -> Example:
    """Draw a post that a reader may return. Relation arguments may overlap entities or differ from them."""
    words = tuple(draw(st.lists(_WORDS, min_size=1, max_size=6)))
    borders = sorted(draw(st.sets(st.integers(0, len(words)))))
    spans = [Span(start, end) for start, end in pairwise(borders)]
    entities: list[Entity] = []
    for span in spans:
        label = draw(_LABELS)
        follows_own_type = bool(entities) and entities[-1].span.end == span.start and entities[-1].label == label
        if draw(st.booleans()):
            entities.append(Entity(span, label, orphan=draw(st.booleans()) and not follows_own_type))
    labels = st.sampled_from([NO_RELATION, "/per/per/peer", "no_relation"])
    arguments = st.sampled_from(spans or [Span(0, 1)]) | st.tuples(
        st.integers(0, len(words) - 1), st.integers(1, len(words))
    ).filter(lambda ends: ends[0] < ends[1]).map(lambda ends: Span(*ends))
    relations = draw(st.lists(st.builds(Relation, arguments, arguments, labels), max_size=3, unique=True))
    return Example(draw(_NAMES), words, tuple(entities), tuple(relations), draw(st.none() | _NAMES))


def changed(before: list[Example], after: list[Example]) -> set[str]:
    """Return the kinds of values that differ between posts and the same posts read back."""
    kinds = set()
    for one, two in zip(before, after, strict=True):
        differences = {
            "words": one.words != two.words,
            "ids": one.id != two.id,
            "images": one.image_id != two.image_id,
            "entities": entities_of(one) != entities_of(two),
            "relations": pairs_of(one) != pairs_of(two),
            "labels": relations_of(one) != relations_of(two) and pairs_of(one) == pairs_of(two),
            "orphans": entities_of(one) == entities_of(two)
            and sum(e.orphan for e in one.entities) != sum(e.orphan for e in two.entities),
        }
        kinds |= {kind for kind, differs in differences.items() if differs}
    return kinds


def entities_of(example: Example) -> list[tuple[str, str]]:
    return [(characters_of(example, entity.span), entity.label) for entity in example.entities]


def relations_of(example: Example) -> list[tuple[str, str, str]]:
    return [(characters_of(example, r.head), characters_of(example, r.tail), r.label) for r in example.relations]


def count_relations(posts: list[Example]) -> Counter[tuple[str, str, str, str]]:
    """Count the relations with their posts, regardless of how the posts are grouped."""
    return Counter((post.text, *relation) for post in posts for relation in relations_of(post))


def pairs_of(example: Example) -> list[tuple[str, str]]:
    return [(head, tail) for head, tail, _ in relations_of(example)]


def characters_of(example: Example, span: Span) -> str:
    """Return the characters of a span without the boundaries of words."""
    return "".join(example.words_of(span).split())


POSTS = st.lists(examples(), min_size=1, max_size=3, unique_by=lambda example: example.id)

REGROUPED = {"posts without relation", "grouped relations"}
"""Losses of the formats with one pair per line, which skip posts or write them several times."""


def write_and_read(name: str, folder: Path, posts: list[Example]) -> tuple[set[str], list[Example]]:
    """Write posts and read them back without errors. Return the kinds of losses and the posts."""
    folder.mkdir(exist_ok=True)
    path = folder / f"train{FORMATS[name].suffix}"
    losses = FORMATS[name].write(path, posts)
    defects: list[Defect] = []
    read_back = [row.example for row in FORMATS[name].read(path, Reading(defects.append))]
    assert [defect for defect in defects if defect.severity is Severity.ERROR] == []
    return set(losses), read_back


@pytest.mark.parametrize("name", READY)
@given(posts=POSTS)
@settings(max_examples=15)
def test_writer_counts_exactly_what_is_lost(
    name: str, posts: list[Example], tmp_path_factory: pytest.TempPathFactory
) -> None:
    losses, read_back = write_and_read(name, tmp_path_factory.mktemp("any"), posts)
    if losses & REGROUPED:
        assert sum(len(post.relations) for post in posts) == len(read_back)
    elif len(read_back) == len(posts):
        lost = changed(posts, read_back)
        unclear = {"orphans"} if "entities" in lost else set()
        assert lost - unclear == losses - unclear
    else:
        assert "words" in losses, "only a post of white space may disappear"


@given(posts=POSTS, pairs=st.lists(st.tuples(*[st.sampled_from(READY)] * 2), min_size=4, max_size=4))
@settings(max_examples=25)
def test_conversion_to_another_format_and_back_loses_only_what_is_counted(
    posts: list[Example], pairs: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any")
    for number, (one, other) in enumerate(pairs):
        _, first = write_and_read(one, folder / f"{number}-first", posts)
        if not first:
            continue
        lost_there, converted = write_and_read(other, folder / f"{number}-there", first)
        lost_back, back = write_and_read(one, folder / f"{number}-back", converted) if converted else (set(), [])
        lost = lost_there | lost_back
        if not lost & REGROUPED and len(back) == len(first):
            expected = lost | ({"orphans"} if "entities" in lost else set())
            assert changed(first, back) <= expected, f"{one} to {other} and back"
            continue
        assert lost & {*REGROUPED, "words"}, f"{one} to {other} and back"
        if not lost & {"relations", "labels", "words"}:
            assert count_relations(first) == count_relations(back), f"{one} to {other} and back"


def test_format_of_a_written_file_is_recognised(tmp_path: Path) -> None:
    relation = Relation(Span(0, 1), Span(1, 2), "r")
    example = Example("7", ("Anna", "waves"), (Entity(Span(0, 1), "PER"),), (relation,), "7")
    for name in READY:
        (tmp_path / name).mkdir()
        path = tmp_path / name / f"train{FORMATS[name].suffix}"
        FORMATS[name].write(path, [example])
        assert recognise(path) == name


@pytest.mark.parametrize("name", [name for name in READY if name != "hf_datasets"])
@given(content=st.binary(max_size=60) | st.text('[]{}",:1 \n\tTR#\r\ufeff\u2028a', max_size=40).map(str.encode))
@settings(max_examples=15)
def test_any_bytes_give_posts_and_defects_with_their_file(
    name: str, content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("any") / f"train{FORMATS[name].suffix}"
    path.write_bytes(content)
    if name == "brat":
        path.with_suffix(".ann").write_bytes(content)
    defects: list[Defect] = []
    rows = list(FORMATS[name].read(path, Reading(defects.append)))
    assert all(defect.where.startswith(str(path.parent)) for defect in defects)
    assert all(row.example.words and row.where.startswith(f"{path}:") for row in rows)
