"""Corpora of pairs have several examples per post, which count as one post in every interval and test."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cotpd.core.records import NO_RELATION, Example, Prediction, Relation, Span
from cotpd.evaluation import evaluate
from cotpd.evaluation.cooccurrence import co_occurrence
from cotpd.evaluation.matching import ExactRelations
from cotpd.evaluation.scores import Scores
from cotpd.evaluation.statistics.over_seeds import hierarchical_interval
from cotpd.evaluation.statistics.pooling import pool_scores
from cotpd.evaluation.statistics.significance import compare

WORDS = ("a", "b", "c")
HEADS = (0, 1)


def listed(number: int) -> list[Example]:
    """Return a post as two examples: a related pair and an unrelated pair."""
    labels = ("peer", NO_RELATION)
    stated = [Relation(Span(head, head + 1), Span(2, 3), label) for head, label in zip(HEADS, labels, strict=True)]
    return [
        Example(f"{number}.{line}", WORDS, relations=(pair,), image_id=f"{number}.jpg")
        for line, pair in enumerate(stated)
    ]


def grouped(number: int) -> list[Example]:
    """Return the same post as one example."""
    first, second = listed(number)
    return [replace(first, relations=(*first.relations, *second.relations))]


def predicted(posts: list[list[Example]], seed: int) -> list[Prediction]:
    """Predict the same label for both pairs of a post, so that their errors are dependent."""
    claimed = np.random.default_rng(seed).random(len(posts)) < 0.5
    return [
        Prediction(
            example.id,
            WORDS,
            relations=tuple(replace(pair, label="peer" if claim else NO_RELATION) for pair in example.relations),
        )
        for post, claim in zip(posts, claimed, strict=True)
        for example in post
    ]


def scored(posts: list[list[Example]], seed: int) -> Scores:
    return evaluate(predicted(posts, seed), [example for post in posts for example in post], rule=ExactRelations())


LISTED, GROUPED = ([form(number) for number in range(80)] for form in (listed, grouped))


def test_intervals_and_tests_do_not_depend_on_examples_per_post() -> None:
    one, other = scored(LISTED, 1), scored(LISTED, 2)
    same, again = scored(GROUPED, 1), scored(GROUPED, 2)
    assert (one.num_posts, len(one.ids)) == (80, 160)
    assert "80 posts" in one.heading
    assert one.interval == same.interval
    assert compare(one, other) == compare(same, again)
    assert hierarchical_interval([one, other]) == hierarchical_interval([same, again])
    assert pool_scores([one, one]).interval == pool_scores([same, same]).interval
    assert pool_scores([one, one]).num_posts == 160


def test_interval_of_false_relations_resamples_posts() -> None:
    counted, same = (
        co_occurrence(predicted(posts, 1), [example for post in posts for example in post])
        for posts in (LISTED, GROUPED)
    )
    assert counted.unrelated == same.unrelated
    assert counted.interval == same.interval


def test_examples_of_a_post_may_be_separated_and_in_any_order() -> None:
    examples = [example for post in LISTED for example in post]
    predictions = predicted(LISTED, 1)
    reordered = evaluate(predictions[::-1], examples[::-1], rule=ExactRelations())
    assert reordered.interval == pytest.approx(scored(LISTED, 1).interval)
    assert compare(scored(LISTED, 2), reordered).num_posts == 80
