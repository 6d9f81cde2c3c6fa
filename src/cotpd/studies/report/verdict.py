"""The verdict of a comparison, in a word and in sentences."""

from __future__ import annotations

from enum import StrEnum

from cotpd.evaluation.statistics.resampling import CONFIDENCE_LEVEL
from cotpd.studies.report.results import ComparisonResult


class ComparisonVerdict(StrEnum):
    """Whether one side of a comparison leads."""

    AHEAD = "ahead"
    BEHIND = "behind"
    UNDECIDED = "undecided"
    DESCRIBED = "described"


def verdict_of(result: ComparisonResult) -> ComparisonVerdict:
    """Return the verdict of a comparison.

    AHEAD and BEHIND need at least two seeds, an interval on one side of 0 and a corrected p-value of at most 0.05.
    DESCRIBED means that the plan marks the comparison as descriptive.
    """
    if result.p_holm is None:
        return ComparisonVerdict.DESCRIBED
    if result.num_seeds < 2 or result.p_holm > 1 - CONFIDENCE_LEVEL or _spans_zero(result):
        return ComparisonVerdict.UNDECIDED
    return ComparisonVerdict.AHEAD if result.lead > 0 else ComparisonVerdict.BEHIND


def is_alarm(result: ComparisonResult) -> bool:
    """Return whether a control leads by its own interval, even if Holm's correction makes it undecided."""
    return result.run_is_control and result.interval.low > 0 and result.num_seeds >= 2


def remarks(result: ComparisonResult) -> list[str]:
    """Return the caveats that a reader needs besides the figures, the most serious first."""
    return [*_control_remarks(result), *_size_remarks(result), *_seed_remarks(result), *_gap_remarks(result)]


_BASELINE_IS_CONTROL = {
    ComparisonVerdict.AHEAD: "the lead comes from what the control lacks",
    ComparisonVerdict.BEHIND: "what the control lacks is harmful",
    ComparisonVerdict.UNDECIDED: "no significant lead, so no gain is shown to come from what the control lacks",
    ComparisonVerdict.DESCRIBED: "a lead would come from what the control lacks",
}


def _control_remarks(result: ComparisonResult) -> list[str]:
    notes = []
    if is_alarm(result):
        notes.append("a control leads, so the gain does not come from what the control lacks")
    if result.run_is_control and _spans_zero(result) and result.num_seeds >= 2:
        notes.append(f"a control without significant gain: a gain above {100 * result.interval.high:+.2f} is ruled out")
    if result.baseline_is_control:
        notes.append(f"the baseline is a control: {_BASELINE_IS_CONTROL[verdict_of(result)]}")
    return notes


def _size_remarks(result: ComparisonResult) -> list[str]:
    notes = []
    if verdict_of(result) is ComparisonVerdict.AHEAD and result.at_least > 0:
        size = "less than" if result.lead < result.at_least else "at least"
        notes.append(f"{size} the lead of {100 * result.at_least:g} F1 that the plan requires")
    if result.p_holm is not None and result.p_holm > 1 - CONFIDENCE_LEVEL and not _spans_zero(result):
        notes.append("its interval excludes 0, but it is not significant after Holm's correction")
    return notes


def _seed_remarks(result: ComparisonResult) -> list[str]:
    notes = []
    if result.num_seeds == 1:
        notes.append("a single seed: the interval does not include the variation between seeds")
    elif result.num_seeds == 2:
        notes.append("two seeds are too few to decide, and make the interval very wide")
    if result.missing_seeds:
        noun = "seed" if len(result.missing_seeds) == 1 else "seeds"
        notes.append(
            f"without {noun} {', '.join(map(str, result.missing_seeds))}, because one side has no finished run"
        )
    return notes


def _gap_remarks(result: ComparisonResult) -> list[str]:
    if result.ceiling and not result.gap_closed:
        return [f"the gap closed is unknown, because {result.ceiling} has no scores of these examples"]
    if result.gap_closed and result.gap_num_seeds != result.num_seeds:
        seeds = f"{result.gap_num_seeds} of {result.num_seeds} seeds"
        return [f"the gap closed uses {seeds}, because {result.ceiling} lacks the others"]
    return []


def _spans_zero(result: ComparisonResult) -> bool:
    return result.interval.low <= 0 <= result.interval.high
