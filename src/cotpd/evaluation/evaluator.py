"""Evaluation: predictions, or a predictor, against gold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Protocol, get_args, runtime_checkable

import numpy as np

from cotpd.core.config import Task
from cotpd.core.errors import UsageError
from cotpd.core.records import Example, Prediction
from cotpd.core.tasks import task_of
from cotpd.evaluation.matching import DEFAULT_MODE, MatchingRule, Mode
from cotpd.evaluation.pairing import pair_by_id
from cotpd.evaluation.scores import Scores
from cotpd.evaluation.statistics.resampling import Counts
from cotpd.evaluation.tasks import SCORING


@runtime_checkable
class Predictor(Protocol):
    """An object that predicts examples, such as an `Extractor`."""

    def predict(self, examples: Iterable[Example]) -> Iterable[Prediction]:
        """Return one prediction for each example, with its id and its words."""


@runtime_checkable
class TaskPredictor(Predictor, Protocol):
    """A predictor with a known task."""

    @property
    def task(self) -> Task:
        """The task that it was trained on."""


def evaluate(
    predicted: Predictor | Iterable[Prediction],
    gold: Iterable[Example],
    *,
    mode: Mode = DEFAULT_MODE,
    rule: MatchingRule | None = None,
    resamples: int = 10_000,
    seed: int = 0,
) -> Scores:
    """Score predictions, or a predictor, against gold examples.

    Args:
        predicted: Predictions in any order, or a predictor.
        gold: The gold examples, in the order of the rows of `Scores`.
        mode: Whether entities that begin with an ``I-`` tag count.
        rule: The matching rule. By default the exact rule of the predictor's task. For predictions, the task follows
            from the gold annotations, with entities first.
        resamples: The number of bootstrap resamples of `Scores.interval`; 0 for no interval.
        seed: The seed of the bootstrap.

    Raises:
        UsageError: If the mode is unknown, or the rule belongs to another task than the predictor.
        DataError: If the predictions do not fit the examples, see `cotpd.evaluation.pairing.pair_by_id`.
    """
    if mode not in get_args(Mode):
        raise UsageError(f"unknown mode {mode!r}; choose {' or '.join(get_args(Mode))}")
    examples = tuple(gold)
    task = predicted.task if isinstance(predicted, TaskPredictor) else None
    rule = rule or SCORING[task or task_of(examples)].rule
    if task not in (None, rule.task):
        raise UsageError(f"the predictor was trained on {task}, and the rule scores {rule.task}; choose another rule")
    predictions = predicted.predict(examples) if isinstance(predicted, Predictor) else predicted
    counts = [rule.count(prediction, example, mode) for prediction, example in pair_by_id(predictions, examples)]
    types = tuple(sorted({name for post in counts for side in post for name in side}))
    return Scores(
        task=rule.task,
        rule=rule.name,
        mode=mode,
        ids=tuple(example.id for example in examples),
        types=types,
        correct=_table([post.correct for post in counts], types),
        predicted=_table([post.predicted for post in counts], types),
        gold=_table([post.gold for post in counts], types),
        resamples=resamples,
        seed=seed,
        posts=SCORING[rule.task].post_numbers(examples),
    )


def _table(posts: Sequence[Counter[str]], types: Sequence[str]) -> Counts:
    """Return the counts as ``[examples, types]`` int64."""
    return np.array([[post[name] for name in types] for post in posts], dtype=np.int64).reshape(len(posts), len(types))
