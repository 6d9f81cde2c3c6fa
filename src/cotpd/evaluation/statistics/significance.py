"""Comparison of two predictors: paired tests over posts, and Holm's correction for several comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from cotpd.core.errors import DataError, UsageError
from cotpd.evaluation.scores import Scores
from cotpd.evaluation.statistics.resampling import (
    CONFIDENCE_LEVEL,
    Counts,
    Floats,
    Interval,
    bootstrap_sums,
    f1,
    percentile_interval,
    randomised_sums,
    sum_by_post,
)
from cotpd.evaluation.table import percent

_TOLERANCE = 1e-12
"""Differences this close to the observed one count as equal to it, because of rounding."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Difference in micro F1 between two predictors on the same posts.

    Attributes:
        first: Micro F1 of the first predictor.
        second: Micro F1 of the second predictor.
        interval: 95 % bootstrap interval of ``first - second``.
        p_bootstrap: Two-sided p-value of the paired bootstrap, for the hypothesis of no difference.
        p_randomisation: Two-sided p-value of approximate randomisation, for the same hypothesis.
        num_posts: Number of posts.
        num_differing: Number of posts on which the predictors have different counts.
        resamples: Number of resamples of each test.
        seed: Seed of the resampling.
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
        """``first - second``, from -1 to 1; positive if the first predictor is better."""
        return self.first - self.second

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as JSON values; F1 is between 0 and 1."""
        return {
            "first": self.first,
            "second": self.second,
            "difference": self.difference,
            "interval": {**self.interval._asdict(), "level": CONFIDENCE_LEVEL},
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
            f"micro F1 {percent(self.first)} vs {percent(self.second)}: difference {100 * self.difference:+.2f}, "
            f"95 % interval {100 * low:+.2f} to {100 * high:+.2f}\n"
            f"p = {self.p_bootstrap:.4f} (paired bootstrap), p = {self.p_randomisation:.4f} (approximate "
            f"randomisation); the counts differ on {self.num_differing:,} of {self.num_posts:,} posts"
        )


class MeanAndDeviation(NamedTuple):
    """Mean and sample standard deviation (None for a single value)."""

    mean: float
    deviation: float | None
    num_values: int

    def __str__(self) -> str:
        spread = "" if self.deviation is None else f" ± {percent(self.deviation)}"
        return f"{percent(self.mean)}{spread} (n = {self.num_values})"


def compare(first: Scores, second: Scores, *, resamples: int = 10_000, seed: int = 0) -> Comparison:
    """Compare the micro F1 of two predictors with two paired tests over posts.

    - Paired bootstrap (Efron and Tibshirani 1993): draw the same posts for both predictors. The p-value is the share
      of resamples with ``|difference - observed| >= |observed|``.
    - Approximate randomisation (Noreen 1989): swap the two predictors on each post with probability one half. The
      p-value is the share of resamples with ``|difference| >= |observed|``.

    Both tests are two-sided and count the observation itself, so p is never 0.

    Args:
        first: Scores of the first predictor.
        second: Scores of the second predictor.
        resamples: Number of resamples of each test.
        seed: Seed of the resampling.

    Raises:
        DataError: If the scores differ in their posts, gold labels, matching rule or mode.
    """
    first_counts, second_counts = align_counts([first, second])
    generator = np.random.default_rng(seed)
    observed = float(_f1_difference(first_counts.sum(0), second_counts.sum(0)))
    joint = bootstrap_sums(np.hstack([first_counts, second_counts]), resamples, generator)
    bootstrapped = _f1_difference(joint[:, :3], joint[:, 3:])
    randomised = _f1_difference(*randomised_sums(first_counts, second_counts, resamples, generator))
    return Comparison(
        first=first.micro_f1,
        second=second.micro_f1,
        interval=percentile_interval(bootstrapped),
        p_bootstrap=two_sided_p_value(bootstrapped - observed, observed),
        p_randomisation=two_sided_p_value(randomised, observed),
        num_posts=len(first_counts),
        num_differing=int((first_counts != second_counts).any(axis=1).sum()),
        resamples=resamples,
        seed=seed,
    )


def mean_and_deviation(values: Sequence[float]) -> MeanAndDeviation:
    """Compute the mean and the sample standard deviation. Raises `UsageError` if there are no values."""
    if not values:
        raise UsageError("a mean needs at least one value, got none")
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return MeanAndDeviation(float(np.mean(values)), deviation, len(values))


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjust p-values for multiple comparisons with Holm's step-down method (Holm 1979).

    Controls the family-wise error rate.

    Returns:
        The adjusted p-values, in the order given.

    Raises:
        UsageError: If a value is not between 0 and 1.
    """
    if not all(0.0 <= p <= 1.0 for p in p_values):
        raise UsageError(f"p-values must be between 0 and 1, got {list(p_values)}")
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return tuple(adjusted)


def align_counts(runs: Sequence[Scores]) -> list[Counts]:
    """Return ``[posts, 3]`` counts for each run, with the posts in the order of the first run.

    Raises:
        DataError: If the runs differ in their posts, gold labels, matching rule or mode.
    """
    return [_align_to(run, runs[0]) for run in runs]


def two_sided_p_value(null_differences: Floats, observed: float) -> float:
    """Return the share of differences under the null hypothesis that are at least as large as the observed one.

    The observed difference is counted among them: (extreme + 1) / (resamples + 1).
    """
    num_extreme = int((np.abs(null_differences) >= abs(observed) - _TOLERANCE).sum())
    return (num_extreme + 1) / (len(null_differences) + 1)


def _align_to(scores: Scores, reference: Scores) -> Counts:
    rows = {example: row for row, example in enumerate(scores.ids)}
    if rows.keys() != set(reference.ids):
        unpaired = min(rows.keys() ^ set(reference.ids))
        raise DataError("scored in only one of the two runs; score both on the same examples", where=unpaired)
    if (scores.task, scores.rule, scores.mode) != (reference.task, reference.rule, reference.mode):
        raise DataError(f"cannot compare runs that were scored differently: {scores.heading} and {reference.heading}")
    order = [rows[example] for example in reference.ids]
    for name in sorted({*scores.types, *reference.types}):
        differing = np.flatnonzero(_gold_counts(scores, name)[order] != _gold_counts(reference, name))
        if len(differing):
            example = reference.ids[differing[0]]
            raise DataError("the two runs have different gold labels; score both on the same corpus", where=example)
    return sum_by_post(scores.per_example[order], reference.posts)


def _gold_counts(scores: Scores, name: str) -> Counts:
    """Return the gold counts of a type, ``[examples]``; zeros if only another run predicted the type."""
    none = np.zeros(len(scores.ids), dtype=np.int64)
    return scores.gold[:, scores.types.index(name)] if name in scores.types else none


def _f1_difference(first: Floats | Counts, second: Floats | Counts) -> Floats:
    """Subtract F1 values; the last axis of both arguments holds correct, predicted and gold."""
    return f1(*np.moveaxis(first, -1, 0)) - f1(*np.moveaxis(second, -1, 0))
