"""Conversion between entities and tags, and repair of tags that break their scheme."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cotpd.core.errors import DataError
from cotpd.core.labels import (
    OUTSIDE,
    LabelSet,
    Repair,
    Scheme,
    TagScheme,
    detect_scheme,
    from_iob1,
    to_entities,
    to_tags,
)
from cotpd.core.records import Entity, Span

PREFIXED = [f"{prefix}-{name}" for prefix in "BIESLU" for name in ("PER", "LOC", "geo-loc")]


@st.composite
def posts(draw: st.DrawFn) -> tuple[list[Entity], int]:
    """Draw entities without overlaps, and a number of words."""
    entities, position = [], 0
    for gap, length in draw(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), max_size=5)):
        span = Span(position + gap, position + gap + length)
        entities.append(Entity(span, draw(st.sampled_from(["PER", "LOC", "geo-loc"]))))
        position = span.end
    return entities, position + draw(st.integers(0, 3))


@settings(max_examples=40)
@given(posts(), st.sampled_from(["BIO", "BIOES"]))
def test_tags_convert_back_to_the_same_entities(post: tuple[list[Entity], int], scheme: Scheme) -> None:
    entities, num_words = post
    assert list(to_entities(to_tags(entities, num_words, scheme), Repair.STRICT)) == entities


@pytest.fixture(scope="module")
def seqeval(root: Path) -> list[dict[str, Any]]:
    """Tags in any order, and the entities that seqeval finds in them (see make_seqeval.py there)."""
    text = (root / "tests" / "evaluation" / "data" / "seqeval.json").read_text(encoding="utf-8")
    cases: list[dict[str, Any]] = json.loads(text)["entities"]
    assert {case["scheme"] for case in cases} == {"BIO", "BIOES", "BILOU"}
    return cases


def test_drop_keeps_what_seqeval_counts_in_strict_mode(seqeval: list[dict[str, Any]]) -> None:
    for case in seqeval:
        tags, name = case["tags"], case["scheme"]
        kept = to_entities(tags, Repair.DROP, scheme=name)
        assert [[e.span.start, e.span.end, e.label] for e in kept] == case["strict"]
        if len(to_entities(tags, Repair.CONLLEVAL, scheme=name)) > len(kept):
            with pytest.raises(DataError, match="set repair to 'conlleval'"):
                to_entities(tags, Repair.STRICT, scheme=name)
        else:
            assert to_entities(tags, Repair.STRICT, scheme=name) == kept


def test_conlleval_keeps_what_seqeval_counts_by_default(seqeval: list[dict[str, Any]]) -> None:
    for case in seqeval:
        if case["scheme"] != "BILOU":  # seqeval's default mode is for the other two
            entities = to_entities(case["tags"], scheme=case["scheme"])
            assert [[e.span.start, e.span.end, e.label] for e in entities] == case["default"]


@pytest.mark.parametrize("name", ["BIOES", "BILOU"])
def test_entity_without_an_end_follows_the_repair(name: TagScheme) -> None:
    tags = ["B-PER", "I-PER", "O", "B-LOC", "E-LOC" if name == "BIOES" else "L-LOC"]
    first, second = to_entities(tags, scheme=name)
    assert (first.orphan, second.orphan) == (True, False)
    assert to_entities(tags, Repair.DROP, scheme=name) == (second,)
    with pytest.raises(
        DataError, match=f"word 1: no tag ends the entity whose last tag is 'I-PER', as {name} requires"
    ):
        to_entities(tags, Repair.STRICT, scheme=name)
    assert not any(entity.orphan for entity in to_entities(tags)), "BIO has no end tags"


@settings(max_examples=40)
@given(st.lists(st.sampled_from(["O", *PREFIXED])))
def test_any_tags_are_read_and_drop_removes_only_orphans(tags: list[str]) -> None:
    lenient = to_entities(tags, Repair.CONLLEVAL)
    assert to_entities(tags, Repair.DROP) == tuple(entity for entity in lenient if not entity.orphan)
    covered = {word for entity in lenient for word in range(entity.span.start, entity.span.end)}
    assert covered == {word for word, tag in enumerate(tags) if tag != "O"}, "a tagged word was lost"


def test_orphan_is_kept_by_default_and_an_error_in_strict_repair() -> None:
    tags = ["O", "I-PER", "I-PER", "B-LOC", "I-PER"]
    assert [(e.span, e.label, e.orphan) for e in to_entities(tags)] == [
        (Span(1, 3), "PER", True),
        (Span(3, 4), "LOC", False),
        (Span(4, 5), "PER", True),
    ]
    with pytest.raises(DataError, match="word 2: tag 'I-PER' continues no entity"):
        to_entities(tags, Repair.STRICT)


def test_invalid_tag_is_an_error() -> None:
    for tag in ("", "B", "B-", "B- ", "X-PER", "PER", "o"):
        with pytest.raises(DataError, match=r"invalid tag .*; expected O, or a type with the prefix"):
            to_entities([tag])


def test_encoding_rejects_unknown_types_long_spans_and_overlaps() -> None:
    labels = LabelSet.of(["PER"])
    with pytest.raises(DataError, match="label_map"):
        labels.encode([Entity(Span(0, 1), "LOC")], 2)
    with pytest.raises(DataError, match="exceeds the text of 2 words"):
        labels.encode([Entity(Span(1, 3), "PER")], 2)
    with pytest.raises(DataError, match="overlaps"):
        labels.encode([Entity(Span(0, 2), "PER"), Entity(Span(1, 3), "PER")], 3)


@pytest.mark.parametrize("scheme", ["BIO", "BIOES"])
def test_allowed_transitions_are_exactly_those_of_valid_sequences(scheme: Scheme) -> None:
    """A missing transition would forbid gold tags; an extra one would let the decoder emit orphans."""
    labels = LabelSet.of(["A", "B"], scheme)
    allowed, tags = labels.allowed_transitions(), labels.tags
    start, end = len(tags), len(tags) + 1
    for first in range(len(tags)):
        for second in range(len(tags)):
            path = allowed[start, first] and allowed[first, second] and allowed[second, end]
            assert path == _is_valid([tags[first], tags[second]], scheme), (tags[first], tags[second])


def _is_valid(tags: list[str], scheme: Scheme) -> bool:
    try:
        entities = to_entities(tags, Repair.STRICT)
        return to_tags(entities, len(tags), scheme) == tags
    except DataError:
        return False


def test_twitter_2015_has_the_published_entity_counts(shared: Path) -> None:
    """6352 counted leniently and 6166 strictly in train."""
    tags: list[str] = []
    lenient = strict = 0
    for line in [*(shared / "twitter2015" / "train.txt").read_text(encoding="utf-8").split("\n"), ""]:
        if "\t" in line:
            tags.append(line.split("\t")[1])
            continue
        lenient += len(to_entities(tags))
        strict += len(to_entities(tags, Repair.DROP))
        tags = []
    assert (lenient, strict) == (6352, 6166)


def test_scheme_of_tags_is_detected() -> None:
    for posts, expected in (
        (["I-PER O I-ORG B-ORG"], "IOB1"),
        (["I-PER I-PER"], "IOB1"),
        (["I-PER I-ORG", "B-PER", "I-LOC"], "IOB1"),
        (["B-PER I-PER O", "I-LOC"], "BIO"),
        (["B-PER B-PER"], "BIO"),
        (["B-PER E-PER", "S-LOC"], "BIOES"),
        (["B-PER L-PER", "U-LOC"], "BILOU"),
        (["S-PER", "U-PER"], None),
        (["O O", ""], None),
        ([], None),
    ):
        assert detect_scheme([post.split() for post in posts]) == expected, posts


@settings(max_examples=40)
@given(st.lists(st.sampled_from(["PER", "LOC", None]), max_size=8), st.data())
def test_iob1_tags_convert_to_the_same_entities(types: list[str | None], data: st.DataObject) -> None:
    """In IOB1, B- occurs only between two adjacent entities of the same type."""
    entities = [Entity(Span(n, n + 1), name) for n, name in enumerate(types) if name is not None]
    touching = {n for n, (one, two) in enumerate(pairwise(types), 1) if one == two}
    tags = [f"{'B' if n in touching else 'I'}-{name}" if name else OUTSIDE for n, name in enumerate(types)]
    found = to_entities(from_iob1(tags), Repair.STRICT)
    assert list(found) == entities
    assert not any(entity.orphan for entity in found)


def test_scheme_of_an_invalid_tag_is_an_error() -> None:
    with pytest.raises(DataError, match="invalid tag"):
        detect_scheme([["X-PER"]])
