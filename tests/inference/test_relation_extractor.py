"""Marked text becomes relations with exact offsets; entities that an extractor found do, too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cotpd.core.errors import DataError, UsageError
from cotpd.core.pairs import REACH
from cotpd.core.records import NO_RELATION, Example, Relation, Span
from cotpd.inference.candidates import candidate_pairs
from cotpd.inference.decoding import decode
from cotpd.inference.extractor import Extraction, Extractor
from cotpd.inference.extractors import extractor_of
from cotpd.inference.marked_text import MarkedText
from cotpd.inference.relation_extractor import RelationExtraction, RelationExtractor
from cotpd.student.student import Student
from cotpd.views.excerpts import narrow
from cotpd.views.view import ViewKind

TEXT = "👩\u200d🚀 Anna joins #Ajax in New  York"
ANNA, AJAX, YORK = (4, 8), (16, 20), (24, 33)


@pytest.fixture(scope="session")
def relations(make_relation_student: Callable[..., Student]) -> RelationExtractor:
    return RelationExtractor(make_relation_student())


def places(extraction: RelationExtraction) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    return [((r.head.start, r.head.end), (r.tail.start, r.tail.end)) for r in extraction.pairs]


def test_offsets_equal_the_marked_ones(relations: RelationExtractor) -> None:
    """This holds beyond the basic plane, with whitespace inside, and in the middle of a word."""
    marked = MarkedText(TEXT, pairs=((ANNA, YORK), (YORK, AJAX), ((5, 7), (12, 14))))
    extraction = relations(marked)
    assert places(extraction) == list(marked.pairs)
    for pair in extraction.pairs:
        for argument in (pair.head, pair.tail):
            assert argument.word == TEXT[argument.start : argument.end]
        assert 0 < pair.score <= 1
        assert pair.label in relations.student.design.labels
    assert extraction.pairs[0].tail.word == "New  York"


def test_extraction_of_relations_uses_decode(relations: RelationExtractor) -> None:
    example = Example("1", ("Anna", "joins", "Ajax"), relations=(Relation(Span(0, 1), Span(2, 3), "gold"),))
    [prediction] = decode(relations.student, [example], kind=ViewKind.PROMPT)
    [pair] = relations(MarkedText("Anna joins Ajax", pairs=(((0, 4), (11, 15)),))).pairs
    assert (pair.label, pair.score) == (prediction.relations[0].label, pytest.approx(prediction.relations[0].score))


def test_entities_are_expanded_to_all_their_ordered_pairs(relations: RelationExtractor) -> None:
    extraction = relations(MarkedText(TEXT, entities=(YORK, ANNA, AJAX)))
    assert places(extraction) == sorted(permutations((ANNA, AJAX, YORK), 2))
    assert extraction.num_omitted == 0
    assert relations(MarkedText(TEXT, entities=(ANNA,))).pairs == ()


def test_extractions_of_entities_are_accepted_as_input(relations: RelationExtractor, student: Student) -> None:
    found = Extractor(student)(["Messi lifts the cup in Lusail", "", "it's #Glastonbury 👩\u200d🚀!!"])
    assert max(len(extraction.entities) for extraction in found) > 2
    for extraction, marked in zip(relations(found), found, strict=True):
        mentions = [(mention.start, mention.end) for mention in marked.entities]
        assert extraction.text == marked.text
        assert places(extraction) == list(permutations(mentions, 2))


def test_unrelated_pairs_are_included_only_on_request(relations: RelationExtractor) -> None:
    [pair] = relations(MarkedText(TEXT, pairs=((ANNA, AJAX),))).pairs
    extraction = RelationExtraction(TEXT, (pair, replace(pair, label=NO_RELATION), replace(pair, label="peer")))
    assert [row["label"] for row in extraction.to_dict()["relations"]].count(NO_RELATION) == 0
    assert len(extraction.to_dict(unrelated=True)["relations"]) == 3
    assert extraction.to_dict()["relations"][-1]["head"] == {"word": "Anna", "start": 4, "end": 8}


@pytest.mark.parametrize(
    ("marks", "message"),
    [
        ({"pairs": (((0, 4), (11, 16)),)}, r"\[11, 16\] lies outside the text of 15 characters"),
        ({"pairs": (((-1, 4), (11, 15)),)}, "lies outside the text"),
        ({"pairs": (((4, 4), (11, 15)),)}, "lies outside the text"),
        ({"entities": ((0, 4), (8, 5))}, "lies outside the text"),
        ({"pairs": (((4, 5), (11, 15)),)}, "contains only whitespace"),
        ({"pairs": (((0, 4), (11, 15), (5, 10)),)}, r"expected a pair .* got \(\(0, 4\), \(11, 15\), \(5, 10\)\)"),
        ({"pairs": ((0, 4), (11, 15))}, r"expected a place .* got 0$"),
        ({"pairs": ((0, 4, 5), (11, 15))}, r"expected a pair .* got \(0, 4, 5\)"),
        ({"pairs": (((0.0, 4.5), (11, 15)),)}, r"expected a place .* got \(0\.0, 4\.5\)"),
        ({"entities": ({"start": 0, "end": 4},)}, r"expected a place .* got \{'start': 0, 'end': 4\}"),
        ({"pairs": (((5, 10), (0, 6)),)}, r"must not overlap, got \[0, 6\] and \[5, 10\]"),
        ({"entities": ((11, 15), (0, 4), (3, 10))}, r"must not overlap, got \[0, 4\] and \[3, 10\]"),
    ],
)
def test_invalid_marks_are_a_data_error(marks: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        MarkedText("Anna joins Ajax", **marks)


def test_repeated_pairs_are_answered_in_their_order(relations: RelationExtractor) -> None:
    marked = ((ANNA, YORK), (AJAX, ANNA), (ANNA, YORK))
    extraction = relations(MarkedText(TEXT, pairs=marked, entities=(ANNA, AJAX)))
    assert places(extraction) == [*marked, (ANNA, AJAX)]
    assert extraction.pairs[0] == extraction.pairs[2]
    assert extraction.num_omitted == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_students_in_half_precision_classify_relations(
    make_relation_student: Callable[..., Student], dtype: torch.dtype
) -> None:
    [pair] = RelationExtractor(make_relation_student().to(dtype))(MarkedText(TEXT, pairs=((ANNA, AJAX),))).pairs
    assert 0 < pair.score <= 1


def test_other_inputs_and_students_of_other_tasks_are_errors(relations: RelationExtractor, student: Student) -> None:
    """Otherwise a student of another task would silently find nothing."""
    with pytest.raises(TypeError, match="expected a MarkedText or an Extraction, got str"):
        relations(["Anna joins Ajax"])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="must be a str, got NoneType"):
        MarkedText(None)  # type: ignore[arg-type]
    with pytest.raises(
        UsageError, match=r"RelationExtractor needs a student trained on relations, got one trained on entities"
    ):
        RelationExtractor(student)
    with pytest.raises(
        UsageError, match=r"Extractor needs a student trained on entities, got one trained on relations"
    ):
        Extractor(relations.student)
    assert isinstance(extractor_of(student), Extractor)
    assert isinstance(extractor_of(relations.student), RelationExtractor)


def test_pairs_too_far_apart_in_a_long_text_are_counted_as_omitted(relations: RelationExtractor) -> None:
    words = [f"{number:05}" for number in range(16_000)]
    text = " ".join(words)
    entities = tuple((6 * number, 6 * number + 5) for number in range(0, 16_000, 50))
    near = ((0, 5), (6, 11))
    far = ((0, 5), (len(text) - 5, len(text)))
    extraction = relations(MarkedText(text, entities=entities[:5], pairs=(near, far)))
    assert len(text) > 95_000
    assert places(extraction) == [
        near,
        *(pair for pair in permutations(entities[:5], 2) if abs(pair[0][0] - pair[1][0]) < 600),
    ]
    assert extraction.num_omitted == 1 + 20 - 8
    spans = [Span(place, place + 1) for place in range(0, 16_000, 50)]
    assert len(candidate_pairs(relations.student.reader, words, spans)) == 2 * (len(spans) - 1)


def test_narrowing_reads_only_the_surroundings_of_a_pair(relations: RelationExtractor) -> None:
    reader = relations.student.reader
    pair = Relation(Span(3_000, 3_001), Span(3_002, 3_003), "peer")
    example = Example("1", ("ab",) * 6_000, relations=(pair,))
    cut = narrow(reader, example, "relations")
    assert 2 * len(cut.words) in (reader.max_marked_pieces(2), reader.max_marked_pieces(2) - 1)
    assert cut.relations[0].tail.start - cut.relations[0].head.start == 2


@pytest.mark.parametrize(
    ("start", "words", "num_context"),
    [
        (1_000, ("ab",) * 2_000, (124, 124)),
        (3, ("ab",) * 2_000, (3, 245)),
        (1_990, ("ab",) * 2_000, (241, 7)),
        (989, ("ab",) * 990 + ("a" * 60,) * 1_000, (10, 6)),
    ],
)
def test_narrowing_keeps_as_many_words_on_both_sides_as_possible(
    relations: RelationExtractor, start: int, words: tuple[str, ...], num_context: tuple[int, int]
) -> None:
    """Room that one side does not need goes to the other side."""
    pair = Relation(Span(start, start + 1), Span(start + 2, start + 3), "peer")
    cut = narrow(relations.student.reader, Example("1", words, relations=(pair,)), "relations")
    [moved] = cut.relations
    assert (moved.head.start, len(cut.words) - moved.tail.end) == num_context


spans = st.lists(st.tuples(st.integers(0, 200), st.integers(1, 4)), max_size=12).map(
    lambda drawn: [Span(start, start + length) for start, length in drawn]
)


@given(spans)
def test_candidates_are_all_pairs_within_the_maximum_distance(relations: RelationExtractor, spans: list[Span]) -> None:
    expected = {
        (head, tail)
        for head, tail in permutations(set(spans), 2)
        for first, second in [sorted((head, tail))]
        if first.end <= second.start <= first.end + REACH
    }
    found = candidate_pairs(relations.student.reader, ("a",) * 204, spans)
    assert len(found) == len(expected)
    assert {(pair.head, pair.tail) for pair in found} == expected


MARKED: list[MarkedText | Extraction] = [
    MarkedText(TEXT, entities=(ANNA, AJAX, YORK)),
    MarkedText("a b", pairs=(((0, 1), (2, 3)),)),
]


def test_a_stream_of_marked_texts_is_answered_in_order(relations: RelationExtractor) -> None:
    one_by_one = RelationExtractor(relations.student, batch_size=1)
    answers = one_by_one.stream(iter(MARKED))
    assert next(answers).text == TEXT
    assert [answer.text for answer in answers] == ["a b"]
    for alone, together in zip(one_by_one(MARKED), relations(MARKED), strict=True):
        assert [pair.label for pair in alone.pairs] == [pair.label for pair in together.pairs]
        assert [pair.score for pair in alone.pairs] == pytest.approx([pair.score for pair in together.pairs], abs=1e-5)
