"""The verdict of a comparison, in a word and in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from cotpd.evaluation.statistics.resampling import CONFIDENCE_LEVEL
from cotpd.studies.report.results import ComparisonResult


class ComparisonVerdict(StrEnum):
    """Whether one side of a comparison leads."""

    AHEAD = "ahead"
    BEHIND = "behind"
    UNDECIDED = "undecided"
    DESCRIBED = "described"


def verdict_of(one: ComparisonResult) -> ComparisonVerdict:
    """Return the verdict of a comparison.

    AHEAD and BEHIND need at least two seeds, an interval on one side of 0 and a corrected p-value of at most 0.05.
    DESCRIBED is a comparison for which the plan asks for no verdict.
    """
    if one.p_holm is None:
        return ComparisonVerdict.DESCRIBED
    if one.num_seeds < 2 or one.p_holm > 1 - CONFIDENCE_LEVEL or _spans_zero(one):
        return ComparisonVerdict.UNDECIDED
    return ComparisonVerdict.AHEAD if one.lead > 0 else ComparisonVerdict.BEHIND


def is_alarm(one: ComparisonResult) -> bool:
    """Return whether a control leads by its own interval, even if Holm's correction makes it undecided."""
    return one.run_is_control and one.interval.low > 0 and one.num_seeds >= 2


def remarks(one: ComparisonResult) -> list[str]:
    """Return what a reader must know besides the figures, the most serious first."""
    return [*_control_remarks(one), *_size_remarks(one), *_seed_remarks(one), *_gap_remarks(one)]


_BASELINE_IS_CONTROL = {
    ComparisonVerdict.AHEAD: "the lead comes from what the control lacks",
    ComparisonVerdict.BEHIND: "what the control lacks is harmful",
    ComparisonVerdict.UNDECIDED: "there is no significant lead over it, so no gain is shown to come from what it lacks",
    ComparisonVerdict.DESCRIBED: "a lead would come from what the control lacks",
}


def _control_remarks(one: ComparisonResult) -> list[str]:
    notes = []
    if is_alarm(one):
        notes.append("a control leads: the gain does not come from what it lacks")
    if one.run_is_control and _spans_zero(one) and one.num_seeds >= 2:
        notes.append(f"a control: no significant gain, and a gain above {100 * one.interval.high:+.2f} is ruled out")
    if one.baseline_is_control:
        notes.append(f"the baseline is a control: {_BASELINE_IS_CONTROL[verdict_of(one)]}")
    return notes


def _size_remarks(one: ComparisonResult) -> list[str]:
    notes = []
    if verdict_of(one) is ComparisonVerdict.AHEAD and one.at_least > 0:
        size = "less than" if one.lead < one.at_least else "at least"
        notes.append(f"{size} the lead of {100 * one.at_least:g} F1 that the plan asks for")
    if one.p_holm is not None and one.p_holm > 1 - CONFIDENCE_LEVEL and not _spans_zero(one):
        notes.append("its interval excludes 0, but it is not significant after Holm's correction")
    return notes


def _seed_remarks(one: ComparisonResult) -> list[str]:
    notes = []
    if one.num_seeds == 1:
        notes.append("a single seed: the interval does not include the variation between seeds")
    elif one.num_seeds == 2:
        notes.append("two seeds are too few to decide, and make the interval very wide")
    if one.missing_seeds:
        seeds = f"seed {one.missing_seeds[0]}" if len(one.missing_seeds) == 1 else f"seeds {_list(one.missing_seeds)}"
        notes.append(f"without {seeds}, because one side has no finished run")
    return notes


def _gap_remarks(one: ComparisonResult) -> list[str]:
    if one.ceiling and not one.gap_closed:
        return [f"the gap closed is unknown, because {one.ceiling} has no scores of these examples"]
    if one.gap_closed and one.gap_num_seeds != one.num_seeds:
        return [
            f"the gap closed uses {one.gap_num_seeds} of {one.num_seeds} seeds, because {one.ceiling} lacks the others"
        ]
    return []


def _spans_zero(one: ComparisonResult) -> bool:
    return one.interval.low <= 0 <= one.interval.high


def _list(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))
