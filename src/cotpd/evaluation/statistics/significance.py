"""How sure a difference between two predictors is: paired tests over posts, and Holm's correction for several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from cotpd.core.errors import DataError, UsageError
from cotpd.evaluation.scores import Scores
from cotpd.evaluation.statistics.resampling import (
    LEVEL,
    Counts,
    Floats,
    Interval,
    bootstrapped_sums,
    by_post,
    f1,
    percentile_interval,
    swapped_sums,
)
from cotpd.evaluation.table import percent

_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two predictors on the same posts: ``difference`` is the micro F1 of the first less that of the second.

    ``interval``: 95 %, of the difference. ``p_bootstrap``, ``p_randomisation``: two-sided, that there is none.
    """

    first: float
    second: float
    interval: Interval
    p_bootstrap: float
    p_randomisation: float
    num_posts: int
    num_differing: int
    resamples: int
    seed: int

    @property
    def difference(self) -> float:
        """From -1 to 1; positive where the first is better."""
        return self.first - self.second

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it; F1 from 0 to 1."""
        return {
            "first": self.first,
            "second": self.second,
            "difference": self.difference,
            "interval": {**self.interval._asdict(), "level": LEVEL},
            "p_bootstrap": self.p_bootstrap,
            "p_randomisation": self.p_randomisation,
            "num_posts": self.num_posts,
            "num_differing": self.num_differing,
            "resamples": self.resamples,
            "seed": self.seed,
        }

    def __str__(self) -> str:
        low, high = self.interval
        return (
            f"micro F1 {percent(self.first)} against {percent(self.second)}: difference {100 * self.difference:+.2f}, "
            f"95 % interval {100 * low:+.2f} to {100 * high:+.2f}\n"
            f"p = {self.p_bootstrap:.4f} (paired bootstrap), p = {self.p_randomisation:.4f} (approximate "
            f"randomisation); counts differ in {self.num_differing:,} of {self.num_posts:,} posts"
        )


class MeanAndDeviation(NamedTuple):
    """A mean and the sample standard deviation (None for a single value)."""

    mean: float
    deviation: float | None
    num_values: int

    def __str__(self) -> str:
        spread = "" if self.deviation is None else f" ± {percent(self.deviation)}"
        return f"{percent(self.mean)}{spread} (n = {self.num_values})"


def compare(first: Scores, second: Scores, *, resamples: int = 10_000, seed: int = 0) -> Comparison:
    """Compare two predictors by micro F1, paired over posts.

    The bootstrap draws posts for both alike; its p-value is the share of differences at least as far from the
    observed one as that is from zero. Approximate randomisation lets each post change sides at random; its p-value
    is the share of differences at least as large as observed. Both count the observation itself, so p > 0.
    Raises `DataError` unless both have the same posts, gold, rule and mode.
    """
    one, other = paired_counts([first, second])
    generator = np.random.default_rng(seed)
    observed = float(_difference(one.sum(0), other.sum(0)))
    joint = bootstrapped_sums(np.hstack([one, other]), resamples, generator)
    drawn = _difference(joint[:, :3], joint[:, 3:])
    swapped = _difference(*swapped_sums(one, other, resamples, generator))
    return Comparison(
        first=first.micro_f1,
        second=second.micro_f1,
        interval=percentile_interval(drawn),
        p_bootstrap=share_beyond(drawn - observed, observed),
        p_randomisation=share_beyond(swapped, observed),
        num_posts=len(one),
        num_differing=int((one != other).any(axis=1).sum()),
        resamples=resamples,
        seed=seed,
    )


def mean_and_deviation(values: Sequence[float]) -> MeanAndDeviation:
    """Mean and sample standard deviation over runs. Raises `UsageError` without values."""
    if not values:
        raise UsageError("a mean needs one value or more")
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return MeanAndDeviation(float(np.mean(values)), deviation, len(values))


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's step-down correction: p-values, in the order given, that hold for all comparisons together.

    Raises `UsageError` for a value outside 0 to 1.
    """
    if not all(0.0 <= p <= 1.0 for p in p_values):
        raise UsageError(f"p-values lie between 0 and 1, not so all of {list(p_values)}")
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return tuple(adjusted)


def paired_counts(runs: Sequence[Scores]) -> list[Counts]:
    """Each run's ``[posts, 3]`` counts, the posts in the order of the first run."""
    return [_counts_like(run, runs[0]) for run in runs]


def share_beyond(differences: Floats, observed: float) -> float:
    """The share of differences at least as large as the observed one, which is counted with them."""
    beyond = int((np.abs(differences) >= abs(observed) - _ROUNDING).sum())
    return (beyond + 1) / (len(differences) + 1)


def _counts_like(scores: Scores, reference: Scores) -> Counts:
    rows = {post: row for row, post in enumerate(scores.ids)}
    if rows.keys() != set(reference.ids):
        odd = min(rows.keys() ^ set(reference.ids))
        raise DataError("only one of the two runs has this post; score both on the same posts", where=odd)
    if (scores.task, scores.rule, scores.mode) != (reference.task, reference.rule, reference.mode):
        raise DataError(f"runs scored differently cannot be compared: {scores.heading} against {reference.heading}")
    order = [rows[post] for post in reference.ids]
    for name in sorted({*scores.types, *reference.types}):
        differing = np.flatnonzero(_gold_of(name, scores)[order] != _gold_of(name, reference))
        if len(differing):
            raise DataError("the two runs were scored against different gold", where=reference.ids[differing[0]])
    return by_post(scores.per_example[order], reference.posts)


def _gold_of(name: str, scores: Scores) -> Counts:
    """``[examples]``: the gold of a type, which only the predictions of another run may know."""
    none = np.zeros(len(scores.ids), dtype=np.int64)
    return scores.gold[:, scores.types.index(name)] if name in scores.types else none


def _difference(one: Floats | Counts, other: Floats | Counts) -> Floats:
    """F1 of the first less F1 of the second; the last axis holds correct, predicted and gold."""
    return f1(*np.moveaxis(one, -1, 0)) - f1(*np.moveaxis(other, -1, 0))
