"""A finding: one failure that was looked for, whether it is there, the figures, and what to change."""

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


class Verdict(StrEnum):
    """Whether a signature shows."""

    FOUND = "FOUND"
    ABSENT = "not found"
    UNKNOWN = "not measured"


@dataclass(frozen=True, slots=True)
class Finding:
    """``means``: what it is and why it matters; ``rule``: by which figures it counts as found, or why they are not
    there. ``header`` and ``rows``: a table of figures.
    """

    signature: str
    verdict: Verdict
    means: str = ""
    rule: str = ""
    advice: str = ""
    figures: tuple[tuple[str, str], ...] = ()
    header: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**asdict(self), "figures": dict(self.figures)}

    def __str__(self) -> str:
        lines = [f"{self.verdict.value}: {self.signature}"]
        if self.verdict is Verdict.UNKNOWN:
            return f"{lines[0]}\n  {self.rule}"
        lines += _wrapped(self.means)
        width = max((len(name) for name, _ in self.figures), default=0)
        lines += ["", *(f"  {name.ljust(width)}  {value}" for name, value in self.figures)]
        if self.rows:
            lines += ["", *("  " + line for line in format_table(self.header, self.rows).splitlines())]
        lines += ["", *_wrapped(f"Counts as found if {self.rule}.")]
        if self.verdict is Verdict.FOUND and self.advice:
            lines += ["", *_wrapped(f"What to change: {self.advice}.")]
        return "\n".join(lines)


def summary(findings: Sequence[Finding]) -> str:
    """How many failures were looked for and found, in a line or two."""
    counts = Counter(finding.verdict for finding in findings)
    measured = len(findings) - counts[Verdict.UNKNOWN]
    if not measured:
        return f"None of {len(findings)} known failures can be looked for in this run."
    found = [finding.signature for finding in findings if finding.verdict is Verdict.FOUND]
    told = f"Of {measured} failures looked for, {len(found) or 'none'} {'show' if len(found) > 1 else 'shows'}"
    told += f": {'; '.join(found)}." if found else "."
    return told + (f" {counts[Verdict.UNKNOWN]} could not be measured." if counts[Verdict.UNKNOWN] else "")


def difference(comparison: Comparison) -> str:
    """A difference in points of F1 with its 95 % interval."""
    low, high = comparison.interval
    return f"{100 * comparison.difference:+.2f} [{100 * low:+.2f}, {100 * high:+.2f}]"


def course(losses: Sequence[float]) -> str:
    """The mean loss of the first and of the last tenth of training."""
    tenth = max(1, len(losses) // 10)
    return f"{fmean(losses[:tenth]):.3f}, {fmean(losses[-tenth:]):.3f}" if losses else "none recorded"


def unmeasured(signature: str, why: str) -> Finding:
    """A signature that could not be looked for."""
    return Finding(signature, Verdict.UNKNOWN, rule=why)


def worst_first(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """What was found, then what was not, then what could not be measured."""
    order = list(Verdict)
    return tuple(sorted(findings, key=lambda finding: order.index(finding.verdict)))


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 96, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
