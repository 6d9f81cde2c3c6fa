"""The progress of a training run, on stderr."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from cotpd.cli.display.counting_bar import CountingBar

if TYPE_CHECKING:
    from cotpd.distillation.progress import Progress


class TrainingBar(CountingBar):
    """A bar with dev F1 and losses; if stderr is not a terminal, a line for each epoch and from time to time.

    Args:
        shown: Whether this process shows the bar. Only one of several processes of a run shows it.
        clock: The clock, in seconds.
    """

    def __init__(self, *, shown: bool = True, clock: Callable[[], float] = monotonic) -> None:
        super().__init__("epoch 1", shown=shown, clock=clock)
        self._f1, self._has_begun = "", False

    def show_training(self, progress: Progress) -> None:
        """Show the state of training."""
        if progress.dev_f1 is None:
            if not self._has_begun:
                self.start_at(progress.step - 1)
                self._has_begun = True
            losses = f"task {progress.task_loss:.3f}  align {progress.alignment_loss:.3f}"
            self.describe(f"epoch {progress.epoch + 1}")
            self.show(progress.step, progress.num_steps, self._f1 + losses)
            return
        f1 = f"dev F1 {100 * progress.dev_f1:.2f}"
        self._f1 = f"{f1}  "
        self.print_line(f"update {progress.step} of {progress.num_steps}  {f1}")
