"""How sure a difference is: paired tests over posts, Holm's correction, and intervals over seeds and posts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from cotpd.core.errors import DataError, UsageError
from cotpd.evaluation.resampling import (
    LEVEL,
    Counts,
    Floats,
    Interval,
    bootstrapped_sums,
    f1,
    percentile_interval,
    swapped_sums,
)
from cotpd.evaluation.scores import Scores
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


class SeedsEstimate(NamedTuple):
    """A mean over runs with different seeds, and its 95 % interval over seeds and posts.

    ``p_value``: of a lead over a baseline, two-sided, that there is none; None without a baseline.
    """

    mean: float
    interval: Interval
    num_runs: int
    p_value: float | None = None


class ShareReached(NamedTuple):
    """How much of the way from a baseline to a ceiling is gone: 0 at the baseline, 1 at the ceiling.

    ``interval``: 95 %, over seeds and posts; None where the ceiling may be no higher than the baseline.
    """

    share: float | None
    interval: Interval | None


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
    one, other = _paired([first, second])
    generator = np.random.default_rng(seed)
    observed = float(_difference(one.sum(0), other.sum(0)))
    joint = bootstrapped_sums(np.hstack([one, other]), resamples, generator)
    drawn = _difference(joint[:, :3], joint[:, 3:])
    swapped = _difference(*swapped_sums(one, other, resamples, generator))
    return Comparison(
        first=first.micro_f1,
        second=second.micro_f1,
        interval=percentile_interval(drawn),
        p_bootstrap=_share_beyond(drawn - observed, observed),
        p_randomisation=_share_beyond(swapped, observed),
        num_posts=len(one),
        num_differing=int((one != other).any(axis=1).sum()),
        resamples=resamples,
        seed=seed,
    )


def hierarchical_interval(
    runs: Sequence[Scores], baseline: Sequence[Scores] = (), *, resamples: int = 10_000, seed: int = 0
) -> SeedsEstimate:
    """The mean micro F1 of runs that differ in their seed, or its lead over the mean of the baseline's runs.

    Each resample draws posts once for all runs, since all share one test set, and runs of each side for themselves.
    With few seeds the interval is somewhat too short: of n seeds it sees (n - 1) / n of their variance. The p-value is
    the share of resampled leads at least as far from the observed one as that is from zero, as `compare` has it.
    Raises `DataError` unless all runs have the same posts, gold, rule and mode; `UsageError` without runs.
    """
    drawn = _drawn_means([runs, baseline] if baseline else [runs], resamples, seed)
    if not baseline:
        return SeedsEstimate(_mean_f1(runs), percentile_interval(drawn[0]), len(runs))
    lead, leads = _mean_f1(runs) - _mean_f1(baseline), drawn[0] - drawn[1]
    return SeedsEstimate(lead, percentile_interval(leads), len(runs), _share_beyond(leads - lead, lead))


def share_reached(
    runs: Sequence[Scores],
    baseline: Sequence[Scores],
    ceiling: Sequence[Scores],
    *,
    resamples: int = 10_000,
    seed: int = 0,
) -> ShareReached:
    """(runs − baseline) / (ceiling − baseline) in mean micro F1, resampled as `hierarchical_interval` does.

    Raises what that raises.
    """
    reached, start, most = _drawn_means([runs, baseline, ceiling], resamples, seed)
    way = _mean_f1(ceiling) - _mean_f1(baseline)
    share = (_mean_f1(runs) - _mean_f1(baseline)) / way if way > 0 else None
    ways = most - start
    if share is None or percentile_interval(ways).low <= 0:
        return ShareReached(share, None)
    whole = ways > 0
    return ShareReached(share, percentile_interval((reached - start)[whole] / ways[whole]))


def _drawn_means(sides: Sequence[Sequence[Scores]], resamples: int, seed: int) -> list[Floats]:
    """Of each side, resampled mean micro F1s ``[resamples]``: the same posts for all, runs of each side apart."""
    if not all(sides):
        raise UsageError("an interval over seeds needs one run or more")
    generator = np.random.default_rng(seed)
    counts = _paired([run for side in sides for run in side])
    sums = bootstrapped_sums(np.hstack(counts), resamples, generator).reshape(resamples, len(counts), 3)
    ends = np.cumsum([len(side) for side in sides])[:-1]
    return [_mean_of_drawn(side, generator) for side in np.split(f1(*np.moveaxis(sums, 2, 0)), ends, axis=1)]


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


def _paired(runs: Sequence[Scores]) -> list[Counts]:
    """Each run's ``[posts, 3]`` counts, the posts in the order of the first run."""
    return [_counts_like(run, runs[0]) for run in runs]


def _counts_like(scores: Scores, reference: Scores) -> Counts:
    rows = {post: row for row, post in enumerate(scores.ids)}
    if rows.keys() != set(reference.ids):
        odd = min(rows.keys() ^ set(reference.ids))
        raise DataError("only one of the two runs has this post; score both on the same posts", where=odd)
    if (scores.task, scores.rule, scores.mode) != (reference.task, reference.rule, reference.mode):
        raise DataError(f"runs scored differently cannot be compared: {scores.heading} against {reference.heading}")
    counts = scores.per_post[[rows[post] for post in reference.ids]]
    differing = np.flatnonzero(counts[:, 2] != reference.per_post[:, 2])
    if len(differing):
        raise DataError("the two runs were scored against different gold", where=reference.ids[differing[0]])
    return counts


def _difference(one: Floats | Counts, other: Floats | Counts) -> Floats:
    """F1 of the first less F1 of the second; the last axis holds correct, predicted and gold."""
    return f1(*np.moveaxis(one, -1, 0)) - f1(*np.moveaxis(other, -1, 0))


def _share_beyond(differences: Floats, observed: float) -> float:
    beyond = int((np.abs(differences) >= abs(observed) - _ROUNDING).sum())
    return (beyond + 1) / (len(differences) + 1)


def _mean_of_drawn(values: Floats, generator: np.random.Generator) -> Floats:
    """The mean of as many columns as there are, drawn with replacement for each row."""
    num_runs = values.shape[1]
    weights = generator.multinomial(num_runs, [1 / num_runs] * num_runs, size=len(values))
    means: Floats = (values * weights).sum(axis=1) / num_runs
    return means


def _mean_f1(runs: Sequence[Scores]) -> float:
    return float(np.mean([run.micro_f1 for run in runs]))
