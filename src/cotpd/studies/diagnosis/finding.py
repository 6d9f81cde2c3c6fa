"""A finding: one failure that was looked for, whether it is there, the figures, and what to change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from cotpd.evaluation.table import aligned


class Verdict(StrEnum):
    """Whether a signature shows."""

    FOUND = "FOUND"
    ABSENT = "not found"
    UNKNOWN = "not measured"


@dataclass(frozen=True, slots=True)
class Finding:
    """``rule``: by which figures the verdict is reached. ``header`` and ``rows``: a table of figures."""

    signature: str
    verdict: Verdict
    rule: str = ""
    advice: str = ""
    figures: tuple[tuple[str, str], ...] = ()
    header: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**asdict(self), "figures": dict(self.figures)}

    def __str__(self) -> str:
        width = max((len(name) for name, _ in self.figures), default=0)
        lines = [f"{self.verdict.value}: {self.signature}", *([f"  ({self.rule})"] if self.rule else [])]
        lines += [f"  {name.ljust(width)}  {value}" for name, value in self.figures]
        if self.rows:
            lines += ["", *("  " + line for line in aligned(self.header, self.rows).splitlines())]
        if self.verdict is Verdict.FOUND and self.advice:
            lines += ["", f"  Change: {self.advice}"]
        return "\n".join(lines)


def unmeasured(signature: str, why: str) -> Finding:
    """A signature that could not be looked for."""
    return Finding(signature, Verdict.UNKNOWN, why)


def worst_first(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """What was found, then what was not, then what could not be measured."""
    order = list(Verdict)
    return tuple(sorted(findings, key=lambda finding: order.index(finding.verdict)))
