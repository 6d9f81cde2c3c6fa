"""What a comparison says, in a word and in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from cotpd.evaluation.statistics.resampling import CONFIDENCE_LEVEL
from cotpd.studies.report.results import Compared


class Verdict(StrEnum):
    """Whether one side leads."""

    AHEAD = "ahead"
    BEHIND = "behind"
    UNDECIDED = "undecided"
    DESCRIBED = "described"


def verdict_of(one: Compared) -> Verdict:
    """AHEAD or BEHIND where both sides have two seeds or more, the interval lies on one side of 0 and p holds after
    Holm's correction; else UNDECIDED. DESCRIBED where the plan asks for no verdict.
    """
    if one.p_holm is None:
        return Verdict.DESCRIBED
    if min(one.num_seeds) < 2 or one.p_holm > 1 - CONFIDENCE_LEVEL or one.interval.low <= 0 <= one.interval.high:
        return Verdict.UNDECIDED
    return Verdict.AHEAD if one.lead > 0 else Verdict.BEHIND


def is_alarm(one: Compared) -> bool:
    """Whether a control leads by its own interval: a correction, which asks for more, must not silence the alarm."""
    return one.run_is_control and one.interval.low > 0 and min(one.num_seeds) >= 2


_BESIDE_CONTROL = {
    Verdict.AHEAD: "the lead is what the control lacks",
    Verdict.BEHIND: "what it lacks does harm",
    Verdict.UNDECIDED: "no lead over it is shown, so none is shown to come from what it lacks",
    Verdict.DESCRIBED: "a lead would be what the control lacks",
}


def remarks(one: Compared) -> list[str]:
    """What a reader must know beside the figures, the worst first."""
    found, verdict = [], verdict_of(one)
    if is_alarm(one):
        found.append("a control leads: what it lacks is not what makes the gain")
    if one.run_is_control and one.interval.low <= 0 <= one.interval.high and min(one.num_seeds) >= 2:
        found.append(f"a control: no gain is shown, and one above {100 * one.interval.high:+.2f} is ruled out")
    if one.baseline_is_control:
        found.append(f"the baseline is a control: {_BESIDE_CONTROL[verdict]}")
    if verdict is Verdict.AHEAD and one.at_least > 0:
        size = "less than" if one.lead < one.at_least else "at least"
        found.append(f"{size} the {100 * one.at_least:g} points that were asked for")
    if one.p_holm is not None and one.p_holm > 1 - CONFIDENCE_LEVEL and not one.interval.low <= 0 <= one.interval.high:
        found.append("its own interval excludes 0, but not after Holm's correction for all that decide")
    if min(one.num_seeds) == 1:
        found.append("a single seed: the interval knows nothing of other seeds")
    elif min(one.num_seeds) == 2:
        found.append("two seeds settle nothing: the interval is as wide as that")
    if one.left_out:
        seeds = f"seed {one.left_out[0]} is" if len(one.left_out) == 1 else f"seeds {_listed(one.left_out)} are"
        found.append(f"{seeds} left out, for one side lacks a finished run of it")
    counts = set(one.share_seeds)
    if len(counts) > 1:
        found.append(f"the share of the way rests on {_listed(one.share_seeds)} seeds of its sides, not paired")
    elif counts - {min(one.num_seeds)}:
        found.append(f"the share of the way rests on {max(counts)} of these seeds, for its three sides lack others")
    if one.ceiling and not one.share:
        found.append(f"no share of the way is known, for {one.ceiling} has no scores of these posts")
    if not one.is_paired:
        found.append("the sides have different seeds, so they are not paired")
    return found


def _listed(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))
