"""Intervals and tests for means over runs with different seeds: a hierarchical bootstrap over seeds and posts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cotpd.core.errors import UsageError
from cotpd.evaluation.scores import Scores
from cotpd.evaluation.statistics.resampling import Floats, Interval, bootstrap_sums, f1, percentile_interval
from cotpd.evaluation.statistics.significance import align_counts, two_sided_p_value


class MeanOverSeeds(NamedTuple):
    """Mean micro F1 over runs with different seeds, or its difference from a baseline.

    Attributes:
        mean: The mean, or the difference of means.
        interval: Its 95 % interval over seeds and posts.
        num_runs: Number of runs (without those of the baseline).
        p_value: Two-sided p-value for the hypothesis of no difference; None without a baseline.
    """

    mean: float
    interval: Interval
    num_runs: int
    p_value: float | None = None


class GapClosed(NamedTuple):
    """Share of the gap between a baseline and a ceiling that runs close: 0 at the baseline, 1 at the ceiling.

    Attributes:
        share: The share; None if the ceiling is not above the baseline.
        interval: Its 95 % interval over seeds and posts; None if the interval of the gap includes 0.
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
) -> MeanOverSeeds:
    """Estimate the mean micro F1 of runs with different seeds, or its difference from the mean of a baseline.

    With n seeds, the variance of the mean is ``Var(P) + (Var(S) + Var(I)) / n``, where P is the effect of the posts,
    S that of the seeds and I their interaction. The two parts are drawn separately:

    - Posts are drawn with replacement, the same ones for all runs, because all runs share one test set. The mean of
      the runs then varies by ``Var(P) + Var(I) / n``, and single runs vary around it by ``Var(I)``. The deviations
      are scaled so that only ``Var(P)`` remains.
    - The part of the seeds, ``(Var(S) + Var(I)) / n``, is estimated by the sample variance of the runs and drawn from
      Student's t with n - 1 degrees of freedom, because a variance estimated from three to five runs is itself
      uncertain. With a single run this part is 0.

    The p-value is the share of resamples with ``|difference - observed| >= |observed|``, as in `compare`.

    Args:
        runs: Scores of the runs.
        baseline: Scores of the baseline's runs.
        paired: Whether the n-th run of each group has the same seed, so that differences are taken per seed.
        resamples: Number of resamples.
        seed: Seed of the resampling.

    Raises:
        DataError: If the runs differ in their posts, gold labels, matching rule or mode.
        UsageError: If there are no runs, or if ``paired`` groups differ in size.
    """
    groups = [runs, baseline] if baseline else [runs]
    resampled = _ResampledGroups.draw(groups, paired=paired, resamples=resamples, seed=seed)
    if not baseline:
        interval = percentile_interval(resampled.resample_contrast(1.0).clip(0, 1))
        return MeanOverSeeds(resampled.contrast(1.0), interval, len(runs))
    observed, differences = resampled.contrast(1.0, -1.0), resampled.resample_contrast(1.0, -1.0)
    p_value = two_sided_p_value(differences - observed, observed)
    return MeanOverSeeds(observed, percentile_interval(differences.clip(-1, 1)), len(runs), p_value)


def gap_closed(
    runs: Sequence[Scores],
    baseline: Sequence[Scores],
    ceiling: Sequence[Scores],
    *,
    paired: bool = False,
    resamples: int = 10_000,
    seed: int = 0,
) -> GapClosed:
    """Estimate (runs - baseline) / (ceiling - baseline) in mean micro F1.

    Seeds and posts are resampled as in `hierarchical_interval`, which describes the arguments and the errors raised.
    Resamples in which the gap is not positive are dropped.
    """
    resampled = _ResampledGroups.draw([runs, baseline, ceiling], paired=paired, resamples=resamples, seed=seed)
    gain, gap = (1.0, -1.0, 0.0), (0.0, -1.0, 1.0)
    share = resampled.contrast(*gain) / resampled.contrast(*gap) if resampled.contrast(*gap) > 0 else None
    gaps = resampled.resample_contrast(*gap)
    if share is None or percentile_interval(gaps).low <= 0:
        return GapClosed(share, None)
    is_positive = gaps > 0
    return GapClosed(share, percentile_interval(resampled.resample_contrast(*gain)[is_positive] / gaps[is_positive]))


@dataclass(frozen=True, slots=True)
class _ResampledGroups:
    """Micro F1 of groups of runs, observed and on resampled posts.

    Attributes:
        observed: For each group, the micro F1 of its runs ``[runs]``.
        resampled: For each group, the same on resampled posts ``[resamples, runs]``.
        seed_multipliers: For each group, random multipliers of the seeds' effects ``[resamples, runs]``. Paired groups
            share one array.
        paired: Whether the n-th runs of all groups have the same seed.
    """

    observed: tuple[Floats, ...]
    resampled: tuple[Floats, ...]
    seed_multipliers: tuple[Floats, ...]
    paired: bool

    @classmethod
    def draw(cls, groups: Sequence[Sequence[Scores]], *, paired: bool, resamples: int, seed: int) -> _ResampledGroups:
        if not all(groups):
            sizes = ", ".join(str(len(group)) for group in groups)
            raise UsageError(f"an interval over seeds needs at least one run in each group, got {sizes}")
        if paired and len(set(map(len, groups))) > 1:
            sizes = ", ".join(str(len(group)) for group in groups)
            raise UsageError(f"paired groups need the same number of runs, in the order of their seeds; got {sizes}")
        generator = np.random.default_rng(seed)
        counts = align_counts([run for group in groups for run in group])
        sums = bootstrap_sums(np.hstack(counts), resamples, generator).reshape(resamples, len(counts), 3)
        ends = np.cumsum([len(group) for group in groups])[:-1]
        resampled = np.split(f1(*np.moveaxis(sums, 2, 0)), ends, axis=1)
        to_draw = groups[:1] if paired else groups
        multipliers = [_draw_seed_multipliers(len(group), resamples, generator) for group in to_draw]
        observed = [np.array([run.micro_f1 for run in group]) for group in groups]
        return cls(
            tuple(observed), tuple(resampled), tuple(multipliers * len(groups) if paired else multipliers), paired
        )

    def contrast(self, *weights: float) -> float:
        """Return the weighted sum of the groups' means."""
        return float(sum(weight * group.mean() for weight, group in zip(weights, self.observed, strict=True)))

    def resample_contrast(self, *weights: float) -> Floats:
        """Return the weighted sum of the groups' means under resampled posts and seeds, ``[resamples]``."""
        weighted = [weight * group for weight, group in zip(weights, self.resampled, strict=True)]
        means: Floats = np.sum([group.mean(1) for group in weighted], axis=0)
        interaction = sum(map(_interaction_variance, [np.sum(weighted, axis=0)] if self.paired else weighted))
        total, observed = float(means.var()), self.contrast(*weights)
        shrinkage = np.sqrt(max(0.0, total - interaction) / total) if total > 0 else 0.0
        effects = [weight * (group - group.mean()) for weight, group in zip(weights, self.observed, strict=True)]
        seed_part = sum(
            multipliers @ effect for multipliers, effect in zip(self.seed_multipliers, effects, strict=True)
        )
        return np.asarray(observed + shrinkage * (means - observed) + seed_part)


def _draw_seed_multipliers(num_runs: int, resamples: int, generator: np.random.Generator) -> Floats:
    """Draw multipliers ``[resamples, runs]`` for the effects of n seeds (deviations of the runs from their mean).

    The sum of the multiplied effects is distributed as their standard error times Student's t with n - 1 degrees of
    freedom.
    """
    if num_runs == 1:
        return np.zeros((resamples, 1))
    degrees = num_runs - 1
    normal = generator.standard_normal((resamples, num_runs)) / np.sqrt(num_runs * degrees)
    multipliers: Floats = normal * np.sqrt(degrees / generator.chisquare(degrees, size=(resamples, 1)))
    return multipliers


def _interaction_variance(resampled: Floats) -> float:
    """Estimate ``Var(I) / n``, the part of seed-post interaction in the variance of the mean of ``[resamples, n]``."""
    num_runs: int = resampled.shape[1]
    if num_runs == 1:
        return 0.0
    deviations: Floats = resampled - resampled.mean(1, keepdims=True)
    return float(np.mean(np.var(deviations, axis=0))) / (num_runs - 1)
