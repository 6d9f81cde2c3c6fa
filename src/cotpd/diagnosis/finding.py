"""The finding on one known failure: whether the run shows it, the figures, and what to change."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from statistics import fmean
from typing import Any

from cotpd.evaluation import Comparison
from cotpd.evaluation.table import format_table


class FindingVerdict(StrEnum):
    """Whether a run shows a failure."""

    FOUND = "FOUND"
    ABSENT = "not found"
    UNKNOWN = "not measured"


@dataclass(frozen=True, slots=True)
class Finding:
    """The finding on one known failure.

    Attributes:
        failure: The name of the failure.
        verdict: Whether the run shows it.
        meaning: What the failure is and why it matters.
        rule: The rule of the verdict, or the reason why it was not measured.
        advice: What to change.
        figures: Pairs of a label and a value.
        header: The header of a table of further figures.
        rows: The rows of that table.
    """

    failure: str
    verdict: FindingVerdict
    meaning: str = ""
    rule: str = ""
    advice: str = ""
    figures: tuple[tuple[str, str], ...] = ()
    header: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as JSON values."""
        return {**asdict(self), "figures": dict(self.figures)}

    def __str__(self) -> str:
        title = f"{self.verdict.value}: {self.failure}"
        if self.verdict is FindingVerdict.UNKNOWN:
            return f"{title}\n  {self.rule}"
        width = max((len(name) for name, _ in self.figures), default=0)
        lines = [title, *_wrap(self.meaning)]
        lines += ["", *(f"  {name.ljust(width)}  {value}" for name, value in self.figures)]
        if self.rows:
            lines += ["", *("  " + line for line in format_table(self.header, self.rows).splitlines())]
        lines += ["", *_wrap(f"Found if {self.rule}.")]
        if self.verdict is FindingVerdict.FOUND and self.advice:
            lines += ["", *_wrap(f"What to change: {self.advice}.")]
        return "\n".join(lines)


def summarise(findings: Sequence[Finding]) -> str:
    """Summarise how many failures were measured and found."""
    counts = Counter(finding.verdict for finding in findings)
    num_unknown = counts[FindingVerdict.UNKNOWN]
    if num_unknown == len(findings):
        return f"None of the {len(findings)} known failures can be measured in this run."
    found = [finding.failure for finding in findings if finding.verdict is FindingVerdict.FOUND]
    names = f": {'; '.join(found)}" if found else ""
    rest = f" {num_unknown} could not be measured." if num_unknown else ""
    return f"{len(found)} of {len(findings) - num_unknown} measured failures found{names}.{rest}"


def format_difference(comparison: Comparison) -> str:
    """Format a difference in points of F1 with its 95 % interval."""
    low, high = comparison.interval
    return f"{100 * comparison.difference:+.2f} [{100 * low:+.2f}, {100 * high:+.2f}]"


def format_course(losses: Sequence[float]) -> str:
    """Format the mean losses of the first and of the last tenth of the training."""
    tenth = max(1, len(losses) // 10)
    return f"{fmean(losses[:tenth]):.3f}, {fmean(losses[-tenth:]):.3f}" if losses else "none recorded"


def unmeasured(failure: str, reason: str) -> Finding:
    """Return the finding on a failure that cannot be measured."""
    return Finding(failure, FindingVerdict.UNKNOWN, rule=reason)


def sort_by_verdict(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Sort findings: found failures first, unmeasured ones last."""
    order = list(FindingVerdict)
    return tuple(sorted(findings, key=lambda finding: order.index(finding.verdict)))


def _wrap(text: str) -> list[str]:
    return textwrap.wrap(text, 96, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
