"""Every format both ways: what is written reads back the same, but for what the writer counts as lost."""

from collections import Counter
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
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
READY = [
    pytest.param(name, marks=pytest.mark.skipif(lacks, reason=f"the extra formats ({_NEEDS.get(name)}) is missing"))
    for name in FORMATS
    if name not in _OWN_TESTS
    for lacks in [name in _NEEDS and find_spec(_NEEDS[name]) is None]
]
"""Every format whose package is installed; the others are skipped."""


@st.composite
def examples(draw: st.DrawFn) -> Example:
    """Any post that a reader of any format gives; spans of relations may be no entities, overlap them or each other."""
    words = tuple(draw(st.lists(_WORDS, min_size=1, max_size=6)))
    borders = sorted(draw(st.sets(st.integers(0, len(words)))))
    spans = [Span(start, end) for start, end in pairwise(borders)]
    entities: list[Entity] = []
    for span in spans:
        label = draw(_LABELS)
        behind = bool(entities) and entities[-1].span.end == span.start and entities[-1].label == label
        if draw(st.booleans()):
            entities.append(Entity(span, label, orphan=draw(st.booleans()) and not behind))
    labels = st.sampled_from([NO_RELATION, "/per/per/peer", "no_relation"])
    arguments = st.sampled_from(spans or [Span(0, 1)]) | st.tuples(
        st.integers(0, len(words) - 1), st.integers(1, len(words))
    ).filter(lambda ends: ends[0] < ends[1]).map(lambda ends: Span(*ends))
    relations = draw(st.lists(st.builds(Relation, arguments, arguments, labels), max_size=3, unique=True))
    return Example(draw(_NAMES), words, tuple(entities), tuple(relations), draw(st.none() | _NAMES))


def changed(before: list[Example], after: list[Example]) -> set[str]:
    """What differs between posts and the same posts read back."""
    kinds = set()
    for one, two in zip(before, after, strict=True):
        differences = {
            "words": one.words != two.words,
            "ids": one.id != two.id,
            "images": one.image_id != two.image_id,
            "entities": marked(one) != marked(two),
            "relations": pairs(one) != pairs(two),
            "labels": related(one) != related(two) and pairs(one) == pairs(two),
            "orphans": marked(one) == marked(two)
            and sum(e.orphan for e in one.entities) != sum(e.orphan for e in two.entities),
        }
        kinds |= {kind for kind, differs in differences.items() if differs}
    return kinds


def marked(example: Example) -> list[tuple[str, str]]:
    return [(plain(example, entity.span), entity.label) for entity in example.entities]


def related(example: Example) -> list[tuple[str, str, str]]:
    return [(plain(example, r.head), plain(example, r.tail), r.label) for r in example.relations]


def stated(posts: list[Example]) -> Counter[tuple[str, str, str, str]]:
    """Every relation with its post, however these are grouped."""
    return Counter((post.text, *relation) for post in posts for relation in related(post))


def pairs(example: Example) -> list[tuple[str, str]]:
    return [(head, tail) for head, tail, _ in related(example)]


def plain(example: Example, span: Span) -> str:
    """The characters of a span, whatever words they form."""
    return "".join(example.words_of(span).split())


@pytest.mark.parametrize("name", READY)
@given(posts=st.lists(examples(), min_size=1, max_size=3, unique_by=lambda example: example.id))
@settings(max_examples=20, deadline=None)
def test_exactly_what_is_counted_is_lost(
    name: str, posts: list[Example], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("any") / f"train{FORMATS[name].suffix}"
    losses = FORMATS[name].write(path, posts)
    defects: list[Defect] = []
    back = [row.example for row in FORMATS[name].read(path, Reading(defects.append))]
    assert [defect for defect in defects if defect.severity is Severity.ERROR] == []
    if losses["posts without relation"] or losses["grouped relations"]:
        assert sum(len(post.relations) for post in posts) == len(back)
    elif len(back) == len(posts):
        lost = changed(posts, back)
        unclear = {"orphans"} if "entities" in lost else set()
        assert lost - unclear == set(losses) - unclear
    else:
        assert losses["words"], "a post of white space alone is no post"


REGROUPED = {"posts without relation", "grouped relations"}
"""What formats of single pairs count: posts that they leave out or write several times."""


def written(name: str, folder: Path, posts: list[Example]) -> tuple[set[str], list[Example]]:
    """Posts written in a format and read back, with what its writer counts as lost; nothing but warnings is met."""
    folder.mkdir()
    path = folder / f"train{FORMATS[name].suffix}"
    losses = FORMATS[name].write(path, posts)
    defects: list[Defect] = []
    back = [row.example for row in FORMATS[name].read(path, Reading(defects.append))]
    assert [defect for defect in defects if defect.severity is Severity.ERROR] == []
    return set(losses), back


@pytest.mark.parametrize("there", READY)
@pytest.mark.parametrize("name", READY)
@given(posts=st.lists(examples(), min_size=1, max_size=3, unique_by=lambda example: example.id))
@settings(max_examples=3, deadline=None)
def test_there_and_back_nothing_is_lost_unsaid(
    name: str, there: str, posts: list[Example], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A to B to A, for every pair of formats: relations, images, ids and orphans as well as entities and words."""
    folder = tmp_path_factory.mktemp("any")
    _, first = written(name, folder / "first", posts)
    assume(first)
    lost_there, other = written(there, folder / "there", first)
    lost_back, back = written(name, folder / "back", other) if other else (set(), [])
    lost = lost_there | lost_back
    if not lost & REGROUPED and len(back) == len(first):
        assert changed(first, back) <= lost | ({"orphans"} if "entities" in lost else set())
        return
    assert lost & {*REGROUPED, "words"}
    if not lost & {"relations", "labels", "words"}:
        assert stated(first) == stated(back)


@pytest.mark.parametrize("name", READY)
def test_a_file_tells_its_format(name: str, tmp_path: Path) -> None:
    relation = Relation(Span(0, 1), Span(1, 2), "r")
    path = tmp_path / f"train{FORMATS[name].suffix}"
    FORMATS[name].write(path, [Example("7", ("Anna", "waves"), (Entity(Span(0, 1), "PER"),), (relation,), "7")])
    assert recognise(path) == name


@pytest.mark.parametrize("name", [param for param in READY if param.values != ("hf_datasets",)])
@given(content=st.binary(max_size=60) | st.text('[]{}",:1 \n\tTR#\r\ufeff\u2028a', max_size=40).map(str.encode))
@settings(max_examples=20, deadline=None)
def test_no_file_breaks_a_reader(name: str, content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever the bytes are: posts, and defects with their file."""
    path = tmp_path_factory.mktemp("any") / f"train{FORMATS[name].suffix}"
    path.write_bytes(content)
    if name == "brat":
        path.with_suffix(".ann").write_bytes(content)
    defects: list[Defect] = []
    rows = list(FORMATS[name].read(path, Reading(defects.append)))
    assert all(defect.where.startswith(str(path.parent)) for defect in defects)
    assert all(row.example.words for row in rows)
    assert Counter(row.where.startswith(f"{path}:") for row in rows)[False] == 0
