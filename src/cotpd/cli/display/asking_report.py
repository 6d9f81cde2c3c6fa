"""Reports of elicit, caption and augment for people and for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cotpd.cli.display.terminal import printable
from cotpd.core.errors import TooManyRejectedError

if TYPE_CHECKING:
    from cotpd.llm.asking.session import AskingReport


def report_values(report: AskingReport[Any, Any]) -> dict[str, Any]:
    """Return the JSON object of a report: lists as their lengths, the rest unchanged."""
    values = {field.name: getattr(report, field.name) for field in fields(report)}
    counts = {"kept": len(report.results), "rejected": len(report.rejections), "failed": len(report.failures)}
    return counts | {name: value for name, value in values.items() if not isinstance(value, list)}


def summary_lines(report: AskingReport[Any, Any], out: Path, *, noun: str) -> Iterator[str]:
    """Yield the summary of a report; ``noun`` is the plural of its results."""
    listed = ", ".join(f"{count:,} {reason}" for reason, count in report.reasons.items())
    reasons = f" ({printable(listed)})" if listed else ""
    yield (
        f"{out}: {len(report.results):,} {noun}, {len(report.rejections):,} rejected{reasons}; "
        f"{report.num_asked:,} asked, {report.num_reused:,} reused; {token_summary(report)}"
    )
    if num_cut := sum(count for reason, count in report.reasons.items() if reason.split(": ")[-1] == "cut"):
        advice = "if the model thinks before it answers, raise --answer-tokens"
        yield f"{num_cut:,} answers reached the token limit before they were usable; {advice}"
    if report.failures:
        yield f"{len(report.failures):,} without an answer; the next run asks again. Main error: {_main_error(report)}"


def token_summary(report: AskingReport[Any, Any]) -> str:
    """Return the tokens of a run, and its cost if the price is known. A number that no answer reported is unknown."""
    cost = "" if report.cost is None else f", cost {report.cost:.4f}"
    unreported = report.unreported_tokens
    rest = f" (the server did not report about {unreported:,} more)" if unreported else ""
    prompt, completion = (
        "unknown" if unreported and not count else f"{count:,}"
        for count in (report.prompt_tokens, report.completion_tokens)
    )
    return f"{prompt} prompt tokens, {completion} completion tokens{rest}{cost}"


def check_rejected_share(report: AskingReport[Any, Any], maximum: float, *, noun: str, advice: str) -> None:
    """Raise `TooManyRejectedError` if the share of rejections and failures is above ``maximum``.

    Questions without an answer have another cause and another remedy than rejected answers. The message names the more
    frequent of both.
    """
    if report.rejected_share <= maximum:
        return
    failures, rejections = len(report.failures), len(report.rejections)
    if failures > rejections:
        raise TooManyRejectedError(
            f"{failures:,} of {report.num_total:,} questions have no answer: "
            f"{_main_error(report)}; run the command again to ask them again"
        )
    raise TooManyRejectedError(
        f"{report.rejected_share:.1%} of the {noun} were rejected or have no answer, more than {maximum:.1%}; "
        f"{advice} or raise --max-rejected"
    )


def _main_error(report: AskingReport[Any, Any]) -> str:
    """Return the most frequent error of questions without an answer, and how often it occurred."""
    [(error, count)] = Counter(report.failures).most_common(1)
    return printable(error) + (f" ({count:,} times)" if count > 1 else "")
