"""Planned comparisons with the scores of finished runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from cotpd.core.errors import CotpdError, UsageError
from cotpd.evaluation.matching import DEFAULT_MODE
from cotpd.evaluation.scores import Scores
from cotpd.evaluation.statistics.over_seeds import GapClosed, gap_closed, hierarchical_interval
from cotpd.evaluation.statistics.pooling import pool_scores
from cotpd.evaluation.statistics.significance import holm
from cotpd.studies.execution.scoring import RunScore
from cotpd.studies.plan.design import ComparedSide, PlannedComparison
from cotpd.studies.report.results import RESAMPLES, ComparisonResult


class MissingScoresError(UsageError):
    """A side of a comparison has no scores."""


def compare_sides(planned: PlannedComparison, scores: Sequence[RunScore]) -> ComparisonResult:
    """Compare the two sides of a comparison on the seeds that both have.

    `p_holm` holds the uncorrected p-value until `apply_holm_correction`.

    Raises:
        MissingScoresError: If no seed has scores of both sides.
        DataError: If the sides are scored on different examples.
    """
    sides = [_scores_by_seed(side, scores) for side in (planned.run, planned.baseline)]
    run, baseline = _paired(sides)
    lead = hierarchical_interval(run, baseline, paired=True, resamples=RESAMPLES)
    assert lead.p_value is not None
    gap, gap_num_seeds = _gap_closed(planned, scores)
    return ComparisonResult(
        name=planned.name,
        run=planned.run.title,
        baseline=planned.baseline.title,
        on=" + ".join(planned.score_names),
        lead=lead.mean,
        interval=lead.interval,
        p_value=lead.p_value,
        p_holm=None if planned.is_descriptive else lead.p_value,
        at_least=planned.at_least / 100,
        num_seeds=len(run),
        missing_seeds=tuple(sorted(sides[0].keys() ^ sides[1].keys())),
        num_posts=run[0].num_posts,
        run_is_control=planned.run.is_control,
        baseline_is_control=planned.baseline.is_control,
        ceiling=planned.ceiling.title if planned.ceiling else None,
        gap_closed=gap,
        gap_num_seeds=gap_num_seeds,
    )


def apply_holm_correction(compared: Sequence[ComparisonResult], *, num_planned: int) -> Iterator[ComparisonResult]:
    """Yield the comparisons with Holm's correction applied.

    Args:
        compared: The comparisons that could be made.
        num_planned: The number of planned comparisons that are not descriptive; missing ones count as p = 1.
    """
    p_values = [result.p_value for result in compared if result.p_holm is not None]
    corrected = iter(holm([*p_values, *[1.0] * (num_planned - len(p_values))]))
    for result in compared:
        yield result if result.p_holm is None else replace(result, p_holm=next(corrected))


def _gap_closed(planned: PlannedComparison, scores: Sequence[RunScore]) -> tuple[GapClosed | None, int]:
    """Return the share of the gap that the run closes and its number of seeds, if the ceiling has scores."""
    if planned.ceiling:
        with suppress(CotpdError):
            run, baseline, ceiling = _paired([_scores_by_seed(side, scores) for side in planned.sides])
            return gap_closed(run, baseline, ceiling, paired=True, resamples=RESAMPLES), len(run)
    return None, 0


def _scores_by_seed(side: ComparedSide, scores: Sequence[RunScore]) -> dict[int, Scores]:
    """Return the pooled scores of one side for every seed that has all of them."""
    known = {
        (score.run.name, str(score.planned.view), score.planned.name, score.run.seed): score.scores[DEFAULT_MODE]
        for score in scores
    }
    seeds = sorted({score.run.seed for score in scores})
    complete = [seed for seed in seeds if all((*place, seed) in known for place in side.places)]
    if not complete:
        names = ", ".join(f"{place.run} ({place.view}) on {place.score}" for place in side.places)
        raise MissingScoresError(f"no seed has all scores of {names}; see the failed and unfinished runs")
    return {seed: pool_scores([known[*place, seed] for place in side.places]) for seed in complete}


def _paired(sides: Sequence[dict[int, Scores]]) -> list[list[Scores]]:
    """Return the scores of each side for the seeds that all sides have, in the same order."""
    common = sorted(set(sides[0]).intersection(*sides[1:]))
    if not common:
        raise MissingScoresError("no seed has finished runs of all sides; see the failed and unfinished runs")
    return [[side[seed] for seed in common] for side in sides]
