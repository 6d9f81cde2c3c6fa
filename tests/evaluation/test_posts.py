"""A post that stands on several lines, a pair each, is one post for every interval and test."""

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
    """A post on two lines: a pair that is related and one that is not."""
    labels = ("peer", NO_RELATION)
    stated = [Relation(Span(head, head + 1), Span(2, 3), label) for head, label in zip(HEADS, labels, strict=True)]
    return [
        Example(f"{number}.{line}", WORDS, relations=(pair,), image_id=f"{number}.jpg")
        for line, pair in enumerate(stated)
    ]


def whole(number: int) -> list[Example]:
    """The same post on one line."""
    first, second = listed(number)
    return [replace(first, relations=(*first.relations, *second.relations))]


def predicted(posts: list[list[Example]], seed: int) -> list[Prediction]:
    """Both pairs of a post get the same label: what is right of one pair hangs on the other."""
    claimed = np.random.default_rng(seed).random(len(posts)) < 0.5
    return [
        Prediction(
            line.id,
            WORDS,
            relations=tuple(replace(pair, label="peer" if claim else NO_RELATION) for pair in line.relations),
        )
        for post, claim in zip(posts, claimed, strict=True)
        for line in post
    ]


def scored(posts: list[list[Example]], seed: int) -> Scores:
    return evaluate(predicted(posts, seed), [line for post in posts for line in post], rule=ExactRelations())


LISTED, WHOLE = ([form(number) for number in range(80)] for form in (listed, whole))


def test_intervals_and_tests_do_not_hang_on_how_posts_are_listed() -> None:
    one, other = scored(LISTED, 1), scored(LISTED, 2)
    same, again = scored(WHOLE, 1), scored(WHOLE, 2)
    assert (one.num_posts, len(one.ids)) == (80, 160)
    assert "80 posts" in one.heading
    assert one.interval == same.interval
    assert compare(one, other) == compare(same, again)
    assert hierarchical_interval([one, other]) == hierarchical_interval([same, again])
    assert pool_scores([one, one]).interval == pool_scores([same, same]).interval
    assert pool_scores([one, one]).num_posts == 160


def test_false_relations_have_the_interval_of_posts() -> None:
    counted, same = (
        co_occurrence(predicted(posts, 1), [line for post in posts for line in post]) for posts in (LISTED, WHOLE)
    )
    assert counted.unrelated == same.unrelated
    assert counted.interval == same.interval


def test_lines_of_a_post_may_stand_apart_and_in_another_order() -> None:
    lines = [line for post in LISTED for line in post]
    found = predicted(LISTED, 1)
    turned = evaluate(found[::-1], lines[::-1], rule=ExactRelations())
    assert turned.interval == pytest.approx(scored(LISTED, 1).interval)
    assert compare(scored(LISTED, 2), turned).num_posts == 80
