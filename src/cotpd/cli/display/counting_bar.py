"""A live bar on stderr that counts, with a note beside it; nothing where nobody watches."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from cotpd.cli.display.terminal import printable


class CountingBar:
    """A bar that begins with ``label``; use it with ``with``."""

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
        """Show how far the work is."""
        self._bar.update(self._task, completed=completed, total=total, note=printable(note))
