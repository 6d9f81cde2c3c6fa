"""Scores of one predictor on one set of examples: counts per example, and the rates computed from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from cotpd.core.config import Task
from cotpd.evaluation.matching import DEFAULT_MODE, Mode
from cotpd.evaluation.statistics.resampling import (
    CONFIDENCE_LEVEL,
    Counts,
    Interval,
    bootstrap_sums,
    f1,
    percentile_interval,
    sum_by_post,
)
from cotpd.evaluation.table import format_table, percent
from cotpd.evaluation.tasks import SCORING

_MODE_DESCRIPTIONS: dict[Mode, str] = {
    "conlleval": "entities that begin with an I- tag count",
    "strict": "entities that begin with an I- tag do not count",
}


class Rates(NamedTuple):
    """Precision, recall and F1, between 0 and 1; 0 if the denominator is 0."""

    precision: float
    recall: float
    f1: float


class TypeScores(NamedTuple):
    """Counts of one type, or of all types together; ``support`` is the number in gold."""

    correct: int
    predicted: int
    support: int

    @property
    def rates(self) -> Rates:
        """Precision, recall and F1 of these counts."""
        return Rates(
            self.correct / self.predicted if self.predicted else 0.0,
            self.correct / self.support if self.support else 0.0,
            2 * self.correct / (self.predicted + self.support) if self.predicted + self.support else 0.0,
        )

    def to_dict(self) -> dict[str, float | int]:
        """Return counts and rates as JSON values."""
        return {**self._asdict(), **self.rates._asdict()}


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of one predictor, with the counts that intervals and comparisons need.

    ``str(scores)`` is a table. Rates are between 0 and 1 in Python and JSON, and percentages in tables.

    Attributes:
        task: What was scored.
        rule: Name of the matching rule.
        mode: Whether entities that begin with an ``I-`` tag count.
        ids: Id of each example (rows of the counts).
        types: Every type that occurs in gold or predictions, sorted (columns of the counts).
        correct: ``[examples, types]`` int64.
        predicted: ``[examples, types]`` int64.
        gold: ``[examples, types]`` int64.
        resamples: Number of bootstrap resamples of `interval`; 0 for no interval.
        seed: Seed of the bootstrap.
        posts: Post number of each row, for corpora that list the pairs of one post as several examples (MNRE). Empty
            if every example is a post of its own.
    """

    task: Task
    rule: str
    mode: Mode
    ids: tuple[str, ...]
    types: tuple[str, ...]
    correct: Counts
    predicted: Counts
    gold: Counts
    resamples: int = 10_000
    seed: int = 0
    posts: tuple[int, ...] = ()

    @property
    def by_type(self) -> dict[str, TypeScores]:
        """Counts of each type."""
        columns = zip(self.correct.sum(0), self.predicted.sum(0), self.gold.sum(0), strict=True)
        return {name: TypeScores(*map(int, counts)) for name, counts in zip(self.types, columns, strict=True)}

    @property
    def total(self) -> TypeScores:
        """Counts of all types together."""
        return TypeScores(int(self.correct.sum()), int(self.predicted.sum()), int(self.gold.sum()))

    @property
    def micro(self) -> Rates:
        """Micro average: the rates of `total`, in which every entity has the same weight."""
        return self.total.rates

    @property
    def macro(self) -> Rates:
        """Macro average: the mean rates over types, in which every type has the same weight."""
        rates = [counts.rates for counts in self.by_type.values()]
        return Rates(*(sum(column) / len(rates) for column in zip(*rates, strict=True))) if rates else Rates(0, 0, 0)

    @property
    def micro_f1(self) -> float:
        """Micro F1, the primary score."""
        return self.micro.f1

    @property
    def macro_f1(self) -> float:
        """Macro F1: the mean of the types' F1."""
        return self.macro.f1

    @property
    def per_example(self) -> Counts:
        """Correct, predicted and gold counts of all types together, ``[examples, 3]``."""
        return np.stack([self.correct.sum(1), self.predicted.sum(1), self.gold.sum(1)], axis=1)

    @property
    def per_post(self) -> Counts:
        """`per_example` summed over the examples of each post, ``[posts, 3]``."""
        return sum_by_post(self.per_example, self.posts)

    @property
    def num_posts(self) -> int:
        """Number of posts."""
        return max(self.posts) + 1 if self.posts else len(self.ids)

    @cached_property
    def interval(self) -> Interval | None:
        """95 % percentile bootstrap interval of `micro_f1` over posts; None if `resamples` is 0."""
        if not self.resamples:
            return None
        sums = bootstrap_sums(self.per_post, self.resamples, np.random.default_rng(self.seed))
        return percentile_interval(f1(*sums.T))

    def to_dict(self) -> dict[str, Any]:
        """Return everything except the counts of single examples, as JSON values."""
        return {
            "task": self.task,
            "rule": self.rule,
            "mode": self.mode,
            "num_posts": self.num_posts,
            "micro": self.total.to_dict(),
            "macro": self.macro._asdict(),
            "types": {name: counts.to_dict() for name, counts in self.by_type.items()},
            "interval": self._interval_dict(),
        }

    def __str__(self) -> str:
        micro = f"{SCORING[self.task].micro_name} {percent(self.micro_f1)}{self._interval_text()}"
        return f"{self.heading}\n\n{self._table()}\n\n{micro}"

    @property
    def heading(self) -> str:
        """One line with the task, the matching rule, the mode and the number of posts."""
        default = "default: " if self.mode == DEFAULT_MODE else ""
        mode = f", mode {self.mode} ({default}{_MODE_DESCRIPTIONS[self.mode]})" if SCORING[self.task].has_modes else ""
        return f"{self.task}, rule {self.rule}{mode}, {self.num_posts:,} posts"

    def _table(self) -> str:
        header = ("type", "precision", "recall", "F1", "support", "predicted", "correct")
        rows = [_row(name, counts.rates, counts) for name, counts in self.by_type.items()]
        return format_table(header, [*rows, _row("micro", self.micro, self.total), _row("macro", self.macro)])

    def _interval_dict(self) -> dict[str, float] | None:
        if self.interval is None:
            return None
        return {
            **self.interval._asdict(),
            "level": CONFIDENCE_LEVEL,
            "resamples": self.resamples,
            "seed": self.seed,
        }

    def _interval_text(self) -> str:
        if self.interval is None:
            return ""
        low, high = map(percent, self.interval)
        method = f"bootstrap over posts, {self.resamples:,} resamples, seed {self.seed}"
        return f", 95 % interval {low} to {high} ({method})"


def _row(name: str, rates: Rates, counts: TypeScores | None = None) -> Sequence[str]:
    numbers = (counts.support, counts.predicted, counts.correct) if counts else ()
    return (name, *map(percent, rates), *(f"{number:,}" for number in numbers))
