"""The scores of one predictor on one set of posts: what was counted in each post, and every rate that follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from cotpd.core.config import Task
from cotpd.evaluation.matching import DEFAULT_MODE, Mode
from cotpd.evaluation.statistics.resampling import (
    LEVEL,
    Counts,
    Interval,
    bootstrapped_sums,
    by_post,
    f1,
    percentile_interval,
)
from cotpd.evaluation.table import aligned, percent
from cotpd.evaluation.tasks import SCORING

_MEANING: dict[Mode, str] = {
    "conlleval": "entities that begin with an I- tag count",
    "strict": "entities that begin with an I- tag are left out",
}


class Rates(NamedTuple):
    """Precision, recall and F1, each from 0 to 1, and 0 where there is nothing to divide by."""

    precision: float
    recall: float
    f1: float


class TypeScores(NamedTuple):
    """What was counted of one type, or of all together; ``support`` is the number in gold."""

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
        """Counts and rates as JSON has them."""
        return {**self._asdict(), **self.rates._asdict()}


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores with the counts they come from, so that intervals and comparisons need nothing else.

    ``correct``, ``predicted``, ``gold``: ``[examples, types]`` int64, rows as in ``ids``, columns as in ``types``
    (every type that is gold or predicted, sorted). ``resamples`` (0: no interval) and ``seed`` make `interval`.
    ``posts``: of each row the number of its post, where a post has several (a pair each, MNRE). `str` gives the table.
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
        """The counts of each type."""
        columns = zip(self.correct.sum(0), self.predicted.sum(0), self.gold.sum(0), strict=True)
        return {name: TypeScores(*map(int, counts)) for name, counts in zip(self.types, columns, strict=True)}

    @property
    def total(self) -> TypeScores:
        """The counts of all types together."""
        return TypeScores(int(self.correct.sum()), int(self.predicted.sum()), int(self.gold.sum()))

    @property
    def micro(self) -> Rates:
        """The rates of `total`: every entity weighs the same."""
        return self.total.rates

    @property
    def macro(self) -> Rates:
        """The means of the types' precisions, recalls and F1s: every type weighs the same."""
        rates = [counts.rates for counts in self.by_type.values()]
        return Rates(*(sum(column) / len(rates) for column in zip(*rates, strict=True))) if rates else Rates(0, 0, 0)

    @property
    def micro_f1(self) -> float:
        """The primary metric."""
        return self.micro.f1

    @property
    def macro_f1(self) -> float:
        """The mean of the types' F1."""
        return self.macro.f1

    @property
    def per_example(self) -> Counts:
        """``[examples, 3]``: correct, predicted and gold of all types together."""
        return np.stack([self.correct.sum(1), self.predicted.sum(1), self.gold.sum(1)], axis=1)

    @property
    def per_post(self) -> Counts:
        """``[posts, 3]``: the same, summed over the examples of each post."""
        return by_post(self.per_example, self.posts)

    @property
    def num_posts(self) -> int:
        """How many posts are scored."""
        return max(self.posts) + 1 if self.posts else len(self.ids)

    @cached_property
    def interval(self) -> Interval | None:
        """The 95 % percentile bootstrap interval of `micro_f1` over posts; None if no resamples were wanted."""
        if not self.resamples:
            return None
        sums = bootstrapped_sums(self.per_post, self.resamples, np.random.default_rng(self.seed))
        return percentile_interval(f1(*sums.T))

    def to_dict(self) -> dict[str, Any]:
        """Everything but the counts of single posts, as JSON has it; rates and interval from 0 to 1."""
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
        """What is scored, under which rule and mode, in one line."""
        default = ", the default" if self.mode == DEFAULT_MODE else ""
        mode = f", mode {self.mode}{default} ({_MEANING[self.mode]})" if SCORING[self.task].has_modes else ""
        return f"{self.task}, {self.rule}{mode}, {self.num_posts:,} posts"

    def _table(self) -> str:
        header = ("type", "precision", "recall", "F1", "support", "predicted", "correct")
        rows = [_row(name, counts.rates, counts) for name, counts in self.by_type.items()]
        return aligned(header, [*rows, _row("micro", self.micro, self.total), _row("macro", self.macro)])

    def _interval_dict(self) -> dict[str, float] | None:
        if self.interval is None:
            return None
        return {**self.interval._asdict(), "level": LEVEL, "resamples": self.resamples, "seed": self.seed}

    def _interval_text(self) -> str:
        if self.interval is None:
            return ""
        low, high = map(percent, self.interval)
        how = f"bootstrap over posts, {self.resamples:,} resamples, seed {self.seed}"
        return f", 95 % interval {low} to {high} ({how})"


def _row(name: str, rates: Rates, counts: TypeScores | None = None) -> Sequence[str]:
    numbers = (counts.support, counts.predicted, counts.correct) if counts else ()
    return (name, *map(percent, rates), *(f"{number:,}" for number in numbers))
