"""How sure means over runs with different seeds are: a hierarchical bootstrap over seeds and posts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cotpd.core.errors import UsageError
from cotpd.evaluation.scores import Scores
from cotpd.evaluation.statistics.resampling import Floats, Interval, bootstrapped_sums, f1, percentile_interval
from cotpd.evaluation.statistics.significance import paired_counts, share_beyond


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


def hierarchical_interval(
    runs: Sequence[Scores],
    baseline: Sequence[Scores] = (),
    *,
    paired: bool = False,
    resamples: int = 10_000,
    seed: int = 0,
) -> SeedsEstimate:
    """The mean micro F1 of runs that differ in their seed, or its lead over the mean of the baseline's runs.

    With ``paired`` the n-th runs of both sides share a seed, and each such pair gives one lead. Of n seeds with effects
    S, posts with effects P and both together I, the mean of n runs varies by ``Var(P) + (Var(S) + Var(I)) / n``:

    - posts are drawn with replacement, once for all runs, since all share one test set. The mean of the runs then
      varies by ``Var(P) + Var(I) / n``, and single runs around it by ``Var(I)``: the draws are scaled to ``Var(P)``;
    - seeds give ``(Var(S) + Var(I)) / n`` by their sample variance, drawn as Student's t with n - 1 degrees of freedom,
      for a variance estimated from three to five runs is itself uncertain. A single run has no such part.

    The p-value is the share of resampled leads at least as far from the observed one as that is from zero, as `compare`
    has it. Raises `DataError` unless all runs have the same posts, gold, rule and mode; `UsageError` without runs, or
    for pairs without a partner.
    """
    sides = _Sides.drawn([runs, baseline] if baseline else [runs], paired=paired, resamples=resamples, seed=seed)
    if not baseline:
        return SeedsEstimate(sides.observed(1.0), percentile_interval(sides.draws(1.0).clip(0, 1)), len(runs))
    lead, leads = sides.observed(1.0, -1.0), sides.draws(1.0, -1.0)
    return SeedsEstimate(lead, percentile_interval(leads.clip(-1, 1)), len(runs), share_beyond(leads - lead, lead))


def share_reached(
    runs: Sequence[Scores],
    baseline: Sequence[Scores],
    ceiling: Sequence[Scores],
    *,
    paired: bool = False,
    resamples: int = 10_000,
    seed: int = 0,
) -> ShareReached:
    """(runs − baseline) / (ceiling − baseline) in mean micro F1, both drawn as `hierarchical_interval` does.

    Raises what that raises.
    """
    sides = _Sides.drawn([runs, baseline, ceiling], paired=paired, resamples=resamples, seed=seed)
    gone, way = (1.0, -1.0, 0.0), (0.0, -1.0, 1.0)
    share = sides.observed(*gone) / sides.observed(*way) if sides.observed(*way) > 0 else None
    ways = sides.draws(*way)
    if share is None or percentile_interval(ways).low <= 0:
        return ShareReached(share, None)
    whole = ways > 0
    return ShareReached(share, percentile_interval(sides.draws(*gone)[whole] / ways[whole]))


@dataclass(frozen=True, slots=True)
class _Sides:
    """Of each side: F1 of its runs ``[runs]``, the same on drawn posts ``[resamples, runs]``, and random multipliers of
    its seeds' effects ``[resamples, runs]``, which are one array for all sides that are paired.
    """

    found: tuple[Floats, ...]
    on_drawn: tuple[Floats, ...]
    multipliers: tuple[Floats, ...]
    paired: bool

    @classmethod
    def drawn(cls, sides: Sequence[Sequence[Scores]], *, paired: bool, resamples: int, seed: int) -> _Sides:
        if not all(sides):
            raise UsageError("an interval over seeds needs one run or more")
        if paired and len(set(map(len, sides))) > 1:
            raise UsageError("paired runs need as many runs on every side, in the order of their seeds")
        generator = np.random.default_rng(seed)
        counts = paired_counts([run for side in sides for run in side])
        sums = bootstrapped_sums(np.hstack(counts), resamples, generator).reshape(resamples, len(counts), 3)
        ends = np.cumsum([len(side) for side in sides])[:-1]
        drawn = np.split(f1(*np.moveaxis(sums, 2, 0)), ends, axis=1)
        sizes = [len(side) for side in sides][: 1 if paired else None]
        multipliers = [_multipliers(size, resamples, generator) for size in sizes]
        found = [np.array([run.micro_f1 for run in side]) for side in sides]
        return cls(tuple(found), tuple(drawn), tuple(multipliers * len(sides) if paired else multipliers), paired)

    def observed(self, *weights: float) -> float:
        """The weighted sum of the sides' means."""
        return float(sum(weight * side.mean() for weight, side in zip(weights, self.found, strict=True)))

    def draws(self, *weights: float) -> Floats:
        """What that sum might have been with other posts and other seeds, ``[resamples]``."""
        weighted = [weight * side for weight, side in zip(weights, self.on_drawn, strict=True)]
        means: Floats = np.sum([side.mean(1) for side in weighted], axis=0)
        joint = sum(map(_joint_variance, [np.sum(weighted, axis=0)] if self.paired else weighted))
        total, observed = float(means.var()), self.observed(*weights)
        kept = np.sqrt(max(0.0, total - joint) / total) if total > 0 else 0.0
        effects = [weight * (side - side.mean()) for weight, side in zip(weights, self.found, strict=True)]
        of_seeds = sum(by @ effect for by, effect in zip(self.multipliers, effects, strict=True))
        return np.asarray(observed + kept * (means - observed) + of_seeds)


def _multipliers(num_runs: int, resamples: int, generator: np.random.Generator) -> Floats:
    """Random weights under which the effects of n runs sum to their standard error times Student's t, n - 1 degrees."""
    if num_runs == 1:
        return np.zeros((resamples, 1))
    freedom = num_runs - 1
    normal = generator.standard_normal((resamples, num_runs)) / np.sqrt(num_runs * freedom)
    scaled: Floats = normal * np.sqrt(freedom / generator.chisquare(freedom, size=(resamples, 1)))
    return scaled


def _joint_variance(on_drawn: Floats) -> float:
    """What seeds and posts together add to the variance of the mean of runs: ``Var(I) / n`` of ``[resamples, n]``."""
    num_runs: int = on_drawn.shape[1]
    if num_runs == 1:
        return 0.0
    around: Floats = on_drawn - on_drawn.mean(1, keepdims=True)
    return float(np.mean(np.var(around, axis=0))) / (num_runs - 1)
