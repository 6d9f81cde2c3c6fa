"""Predictions against gold: matched by id, every post counted once, nothing dropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar, get_args, runtime_checkable

import numpy as np

from cotpd.core.errors import DataError, UsageError
from cotpd.core.pairs import post_numbers
from cotpd.core.records import Example, Prediction
from cotpd.evaluation.matching import DEFAULT_MODE, MatchingRule, Mode, Task, exact_rule
from cotpd.evaluation.scores import Scores
from cotpd.evaluation.statistics.resampling import Counts

_Record = TypeVar("_Record", Example, Prediction)


@runtime_checkable
class Predictor(Protocol):
    """Whatever predicts examples, such as an Extractor."""

    def predict(self, examples: Iterable[Example]) -> Iterable[Prediction]:
        """One prediction for each example, with its id and its words."""


@runtime_checkable
class TaskPredictor(Predictor, Protocol):
    """A predictor that tells what it predicts."""

    @property
    def task(self) -> Task:
        """What it was trained on."""


def evaluate(
    predicted: Predictor | Iterable[Prediction],
    gold: Iterable[Example],
    *,
    mode: Mode = DEFAULT_MODE,
    rule: MatchingRule | None = None,
    resamples: int = 10_000,
    seed: int = 0,
) -> Scores:
    """Score predictions, or a predictor, against the gold of examples; the posts keep the order of ``gold``.

    Without a ``rule`` it is the exact one of the predictor's task; where none is told, that of relations if gold holds
    relations and no entities, else that of entities. ``resamples`` and ``seed`` are those of `Scores.interval`. Raises
    `UsageError` for a rule of another task than the predictor's; `DataError`, naming the post, for an id that is
    missing, doubled or unknown, for words that are not the example's, and for a span outside the post.
    """
    if mode not in get_args(Mode):
        raise UsageError(f"unknown mode {mode!r}; choose {' or '.join(get_args(Mode))}")
    examples = tuple(gold)
    task = predicted.task if isinstance(predicted, TaskPredictor) else None
    rule = rule or exact_rule(task or _task_of(examples))
    if task not in (None, rule.task):
        raise UsageError(f"the predictor was trained on {task}, and the rule scores {rule.task}; choose another rule")
    predictions = predicted.predict(examples) if isinstance(predicted, Predictor) else predicted
    counts = [rule.count(prediction, example, mode) for prediction, example in paired(predictions, examples)]
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
        posts=post_numbers(examples) if rule.task == "relations" else (),
    )


def paired(predictions: Iterable[Prediction], examples: Sequence[Example]) -> list[tuple[Prediction, Example]]:
    """Each example with the prediction of the same id, in the order of the examples. Raises as `evaluate` does."""
    if not examples:
        raise DataError("there is nothing to score: no examples")
    gold = _by_id(examples, "gold")
    found = _by_id(predictions, "predicted")
    for post in found:
        if post not in gold:
            raise DataError("predicted, but not among the gold examples", where=post)
    for post in gold:
        if post not in found:
            raise DataError("not predicted; every gold example needs one prediction", where=post)
        _require_fit(found[post], gold[post])
    return [(found[post], gold[post]) for post in gold]


def _task_of(gold: Sequence[Example]) -> Task:
    has_relations = any(example.relations for example in gold)
    return "relations" if has_relations and not any(example.entities for example in gold) else "entities"


def _by_id(records: Iterable[_Record], side: str) -> dict[str, _Record]:
    found: dict[str, _Record] = {}
    for record in records:
        if record.id in found:
            raise DataError(f"{side} twice; ids must differ", where=record.id)
        found[record.id] = record
    return found


def _require_fit(prediction: Prediction, example: Example) -> None:
    if prediction.words != example.words:
        raise DataError("predicted for other words than the gold example has", where=example.id)
    relations = (span for relation in prediction.relations for span in (relation.head, relation.tail))
    for span in (*(entity.span for entity in prediction.entities), *relations):
        if span.end > len(example.words):
            raise DataError(
                f"the predicted span [{span.start}, {span.end}) lies outside a post of {len(example.words)} words",
                where=example.id,
            )


def _table(posts: Sequence[Counter[str]], types: Sequence[str]) -> Counts:
    """``[posts, types]`` int64."""
    return np.array([[post[name] for name in types] for post in posts], dtype=np.int64).reshape(len(posts), len(types))
