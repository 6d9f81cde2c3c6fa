"""Pooled scores are the scores of all posts together."""

import numpy as np
import pytest

from cotpd.core.errors import DataError, UsageError
from cotpd.core.records import Entity, Example, Prediction, Span
from cotpd.evaluation import evaluate
from cotpd.evaluation.scores import Scores
from cotpd.evaluation.statistics.pooling import pool_scores


def scores(ids: str, label: str, mode: str = "conlleval") -> Scores:
    entities = (Entity(Span(0, 1), label),)
    gold = [Example(id_, ("Oslo", "x"), entities) for id_ in ids]
    predictions = [Prediction(id_, ("Oslo", "x"), entities if number else ()) for number, id_ in enumerate(ids)]
    return evaluate(predictions, gold, mode=mode)  # type: ignore[arg-type]


def test_pooling_adds_the_posts_and_types_of_all_parts() -> None:
    one, other = scores("abc", "LOC"), scores("ab", "PER")
    both = pool_scores([one, other])
    assert both.total == tuple(np.add(one.total, other.total))
    assert (both.types, len(set(both.ids))) == (("LOC", "PER"), 5)
    assert both.by_type == {**one.by_type, **other.by_type}
    assert both.per_post.tolist() == [*one.per_post.tolist(), *other.per_post.tolist()]


def test_pooling_rejects_no_parts_and_different_modes() -> None:
    with pytest.raises(UsageError, match="at least one test set"):
        pool_scores([])
    with pytest.raises(
        DataError, match=r"cannot pool scores that were counted differently: .*mode conlleval.*; .*mode strict"
    ):
        pool_scores([scores("ab", "LOC"), scores("ab", "LOC", "strict")])
