"""The progress of a training run, on stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

if TYPE_CHECKING:
    from cotpd.distillation.progress import Progress


class TrainingBar:
    """A live bar with losses, dev F1 and remaining time, or one line for each epoch if stderr is not a terminal.

    Args:
        shown: Whether this process shows the bar. Only one of several processes of a run shows it.
    """

    def __init__(self, *, shown: bool = True) -> None:
        self._console = Console(stderr=True)
        self._bar = Bar(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("task {task.fields[task_loss]:.3f}  alignment {task.fields[alignment]:.3f}"),
            TextColumn("dev F1 {task.fields[f1]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not (shown and self._console.is_terminal),
        )
        self._task = self._bar.add_task("training", epoch=1, task_loss=0.0, alignment=0.0, f1="–", total=None)

    @property
    def is_live(self) -> bool:
        """Whether the bar is drawn live instead of printed line by line."""
        return not self._bar.disable

    def __enter__(self) -> TrainingBar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, progress: Progress) -> None:
        """Show the state of training."""
        if progress.dev_f1 is None:
            self._bar.update(
                self._task,
                completed=progress.step,
                total=progress.num_steps,
                epoch=progress.epoch + 1,
                task_loss=progress.task_loss,
                alignment=progress.alignment_loss,
            )
            return
        self._bar.update(self._task, f1=f"{100 * progress.dev_f1:.2f}")
        if not self._console.is_terminal:
            line = f"epoch {progress.epoch + 1}  update {progress.step} of {progress.num_steps}  "
            self._console.print(f"{line}dev F1 {100 * progress.dev_f1:.2f}", highlight=False)
