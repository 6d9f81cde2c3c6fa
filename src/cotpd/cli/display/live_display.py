"""A progress bar on stderr for verbs that ask a model; nothing if stderr is not a terminal."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

if TYPE_CHECKING:
    from cotpd.llm.asking.progress import AskingProgress


class LiveDisplay:
    """A bar with rejections, failures, rate, tokens, cost and the remaining time; use it as a context manager.

    Args:
        label: The text before the bar.
        console: The console; by default stderr.
    """

    def __init__(self, label: str, console: Console | None = None) -> None:
        console = console or Console(stderr=True)
        self._bar = Bar(
            TextColumn(label),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[state]}", markup=False),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task(label, total=None, state="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, progress: AskingProgress, total: int) -> None:
        """Show the progress of a run of ``total`` questions."""
        self._bar.update(self._task, completed=progress.done, total=total, state=progress_line(progress, total))


def progress_line(progress: AskingProgress, total: int) -> str:
    """Return rejections, failures, rate, tokens, cost, requests in flight and remaining time in one line."""
    parts = [f"{progress.rejected:,} rejected"]
    if progress.failed:
        parts.append(f"{progress.failed:,} failed")
    parts += [f"{progress.rate:.1f}/s", f"{progress.prompt_tokens + progress.completion_tokens:,} tokens"]
    if progress.cost is not None:
        parts.append(f"cost {progress.cost:.4f}")
    parts.append(f"{progress.in_flight} in flight")
    left = progress.seconds_left(total)
    if left is not None:
        parts.append(f"{timedelta(seconds=round(left))} left")
    return " · ".join(parts)
