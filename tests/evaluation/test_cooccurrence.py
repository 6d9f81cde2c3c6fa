"""False relations are counted among the pairs that gold marks as unrelated, and no others."""

from __future__ import annotations

import pytest

from cotpd.core.pairs import group_by_post
from cotpd.core.records import NO_RELATION, Entity, Example, Prediction, Relation, Span
from cotpd.evaluation.cooccurrence import co_occurrence, drop_unknown_pairs

WORDS = ("a", "b", "c", "d")


def relation(head: int, tail: int, label: str = NO_RELATION) -> Relation:
    return Relation(Span(head, head + 1), Span(tail, tail + 1), label)


LISTED = [
    Example("1", WORDS, relations=(relation(0, 1, "peer"),), image_id="x"),
    Example("2", WORDS, relations=(relation(1, 2),), image_id="x"),
    Example("3", WORDS, relations=(relation(0, 1),), image_id="y"),
    Example("4", WORDS, relations=(relation(1, 2),), image_id="x"),
]
EXHAUSTIVE = [Example("1", WORDS, tuple(Entity(Span(n, n + 1), "PER") for n in range(3)), (relation(0, 1, "peer"),))]


def test_examples_of_one_post_are_grouped_with_all_their_relations() -> None:
    first, second = group_by_post(LISTED)
    assert (first.id, first.relations) == ("1", (relation(0, 1, "peer"), relation(1, 2)))
    assert second == LISTED[2]
    assert group_by_post(EXHAUSTIVE) == tuple(EXHAUSTIVE)


def test_unlisted_pairs_are_unknown_in_a_corpus_of_pairs() -> None:
    posts = group_by_post(LISTED)
    classified = (
        relation(0, 1, "parent"),
        relation(1, 2, "peer"),
        relation(2, 1, "peer"),
        relation(0, 3),
        relation(1, 0),
    )
    predictions = [Prediction("1", WORDS, relations=classified), Prediction("3", WORDS, relations=(relation(0, 1),))]
    counted = co_occurrence(predictions, posts)
    assert counted.by_status == {"unrelated": (2, 1), "related": (1, 1), "unknown": (3, 1)}
    assert counted.unrelated.share == 0.5
    assert counted.interval is not None
    assert (counted.interval.low, counted.interval.high) == (0.0, 1.0)
    scored = drop_unknown_pairs(predictions, posts)
    assert [prediction.relations for prediction in scored] == [classified[:2], (relation(0, 1),)]


def test_unlisted_pairs_are_unrelated_in_a_corpus_that_marks_entities() -> None:
    """This includes pairs with an entity that gold does not have."""
    classified = (relation(0, 1, "peer"), relation(1, 0, "peer"), relation(2, 0), relation(3, 0, "peer"))
    predictions = [Prediction("1", WORDS, relations=classified)]
    counted = co_occurrence(predictions, EXHAUSTIVE)
    assert counted.by_status == {"unrelated": (3, 2), "related": (1, 1), "unknown": (0, 0)}
    assert drop_unknown_pairs(predictions, EXHAUSTIVE) == predictions
    assert "false relations 66.67 % of unrelated pairs" in str(counted)
    assert "not annotated" not in str(counted)
    assert counted.to_dict()["unrelated"] == {"pairs": 3, "claimed": 2, "share": pytest.approx(2 / 3)}


def test_share_and_interval_are_none_without_unrelated_pairs() -> None:
    counted = co_occurrence([Prediction("1", WORDS, relations=(relation(0, 1),))], LISTED[:1])
    assert (counted.unrelated.share, counted.interval, counted.to_dict()["interval"]) == (None, None, None)
    assert counted.to_dict()["unrelated"] == {"pairs": 0, "claimed": 0, "share": None}
    assert str(counted).endswith("false relations: unknown, because gold has no unrelated pairs")


def test_interval_is_that_of_a_binomial_share_over_posts() -> None:
    posts = [Example(str(n), WORDS, relations=(relation(0, 1),), image_id=f"{n}.jpg") for n in range(200)]
    classified = [
        Prediction(str(n), WORDS, relations=(relation(0, 1, "peer" if n % 4 == 0 else NO_RELATION),))
        for n in range(200)
    ]
    counted = co_occurrence(classified, posts)
    assert counted.unrelated == (200, 50)
    assert counted.interval is not None
    assert counted.interval.low == pytest.approx(0.25 - 1.96 * (0.25 * 0.75 / 200) ** 0.5, abs=0.01)
    assert counted.interval.high == pytest.approx(0.25 + 1.96 * (0.25 * 0.75 / 200) ** 0.5, abs=0.01)
