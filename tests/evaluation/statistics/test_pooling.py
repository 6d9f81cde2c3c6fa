"""Pooled scores are those of all posts together."""

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
    found = [Prediction(id_, ("Oslo", "x"), entities if number else ()) for number, id_ in enumerate(ids)]
    return evaluate(found, gold, mode=mode)  # type: ignore[arg-type]


def test_posts_of_several_sets_count_as_one_set() -> None:
    one, other = scores("abc", "LOC"), scores("ab", "PER")
    whole = pool_scores([one, other])
    assert whole.total == tuple(np.add(one.total, other.total))
    assert (whole.types, len(set(whole.ids))) == (("LOC", "PER"), 5)
    assert whole.by_type == {**one.by_type, **other.by_type}
    assert whole.per_post.tolist() == [*one.per_post.tolist(), *other.per_post.tolist()]


def test_what_cannot_be_pooled_is_refused() -> None:
    with pytest.raises(UsageError, match="one set of posts or more"):
        pool_scores([])
    with pytest.raises(DataError, match="scored differently"):
        pool_scores([scores("ab", "LOC"), scores("ab", "LOC", "strict")])
