"""A progress bar on stderr with a note; nothing if stderr is not a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class CountingBar:
    """A bar after the text ``label``; use it as a context manager."""

    def __init__(self, label: str) -> None:
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn(label),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task(label, note="", total=None)

    def __enter__(self) -> CountingBar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, completed: int, total: int, note: str) -> None:
        """Show the progress of the work."""
        self._bar.update(self._task, completed=completed, total=total, note=note)
