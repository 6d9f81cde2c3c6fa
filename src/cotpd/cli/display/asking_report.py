"""What came of asking, as verbs tell it: what was kept, what was rejected and why, and what it cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cotpd.cli.display.terminal import printable
from cotpd.core.errors import TooManyRejectedError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from cotpd.knowledge.augmentation.augment import AugmentationReport
    from cotpd.knowledge.elicitation import ElicitationReport
    from cotpd.llm.asking.progress import AskingProgress


def numbers(report: DataclassInstance) -> dict[str, Any]:
    """The counts of a report, by name."""
    values = {field.name: getattr(report, field.name) for field in fields(report)}
    return {name: value for name, value in values.items() if isinstance(value, int)}


def outcome(report: ElicitationReport | AugmentationReport, *, kept: int) -> dict[str, Any]:
    """What a program reads beside the counts."""
    return {
        "kept": kept,
        "rejected": len(report.rejections),
        "failed": len(report.failures),
        "reasons": report.reasons,
        "cost": report.cost,
    }


def summary(report: ElicitationReport | AugmentationReport, target: Path, kept: str) -> Iterator[str]:
    """What a person reads: ``kept`` says how many of what."""
    yield (
        f"{target}: {kept} kept, {len(report.rejections):,} rejected{reasons(report.reasons)}; "
        f"{report.num_asked:,} asked now, {spent(report)}"
    )
    if report.failures:
        first = printable(report.failures[0])
        yield f"{len(report.failures):,} without an answer, asked by the next run: {first}"


def reasons(counts: Mapping[str, int]) -> str:
    """Why what was rejected, in brackets; nothing where nothing was."""
    listed = ", ".join(f"{count:,} {reason}" for reason, count in counts.items())
    return f" ({printable(listed)})" if listed else ""


def spent(paid: ElicitationReport | AugmentationReport | AskingProgress) -> str:
    """The tokens, and the money where prices are known."""
    cost = "" if paid.cost is None else f", cost {paid.cost:.4f}"
    return f"{paid.prompt_tokens:,} tokens read, {paid.completion_tokens:,} written{cost}"


def refuse_too_many(share: float, most: float, lost: str, advice: str) -> None:
    """Raise `TooManyRejectedError` when more than ``most`` is lost; ``lost`` says of what, and how."""
    if share > most:
        raise TooManyRejectedError(f"{share:.1%} of the {lost}, more than {most:.1%}; {advice} or raise --max-rejected")
