"""A progress bar on stderr with rate and time left; if stderr is not a terminal, a line from time to time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from time import monotonic
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from cotpd.cli.display.stderr import stderr_console

LINE_SECONDS = 30.0
"""The time between two lines, if stderr is not a terminal."""
_WIDTH_WITH_BAR = 100
"""A narrower terminal shows the figures without the bar."""


class CountingBar:
    """Shows how far a work is; use it as a context manager.

    Args:
        label: The text at the beginning.
        shown: Whether anything is shown.
        console: The console; by default stderr.
        clock: The clock, in seconds.
    """

    def __init__(
        self,
        label: str,
        *,
        shown: bool = True,
        console: Console | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._console, self._clock = console or stderr_console(), clock
        self._shown = shown
        bar = (BarColumn(bar_width=12),) if self._console.width >= _WIDTH_WITH_BAR else ()
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            *bar,
            TextColumn("{task.fields[state]}", markup=False),
            console=self._console,
            disable=not (shown and self._console.is_terminal),
            redirect_stdout=False,  # answers on stdout stay there
        )
        self._task = self._bar.add_task(label, total=None, state="")
        self._began = self._printed = clock()
        self._num_before = 0

    @property
    def is_live(self) -> bool:
        """Whether the bar is drawn, and not printed line by line."""
        return not self._bar.disable

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, completed: int, total: int | None = None, note: str = "", *, pace: str | None = None) -> None:
        """Show the state of the work.

        Args:
            completed: The number of completed units.
            total: The number of all units; None if it is unknown.
            note: What else to show.
            pace: Rate and time left; by default they follow from the time since the bar began.
        """
        counts = f"{completed:,}" if total is None else f"{completed:,}/{total:,}"
        state = "  ".join(filter(None, (counts, self._pace(completed, total) if pace is None else pace, note)))
        self._bar.update(self._task, completed=completed, total=total, state=state)
        if self._clock() - self._printed >= LINE_SECONDS:
            self.print_line(state)

    def start_at(self, completed: int) -> None:
        """Leave the units of an interrupted run out of the rate."""
        self._num_before = completed

    def describe(self, label: str) -> None:
        """Change the text at the beginning."""
        self._bar.update(self._task, description=label)

    def print_line(self, text: str) -> None:
        """Print a line if no bar is drawn."""
        self._printed = self._clock()
        if self._shown and not self.is_live:
            label = self._bar.tasks[0].description
            self._console.print(f"{label}  {text}", soft_wrap=True)

    def _pace(self, completed: int, total: int | None) -> str:
        seconds = self._clock() - self._began
        rate = (completed - self._num_before) / seconds if seconds > 0 else 0.0
        return format_pace(rate, (total - completed) / rate if rate and total is not None else None)


def format_pace(rate: float, seconds_left: float | None) -> str:
    """Format a rate and the time left, such as ``12.5/s  0:01:12 left``."""
    left = "" if seconds_left is None else f"  {timedelta(seconds=round(seconds_left))} left"
    return f"{rate:,.{2 if rate < 1 else 1}f}/s{left}"
