"""The progress of a training, as listeners receive it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """The state of a run after an update.

    Attributes:
        step: The number of updates so far.
        num_steps: The number of updates of the whole run.
        epoch: The current epoch, from 0.
        task_loss: The mean task loss since the last report.
        alignment_loss: The mean alignment loss since the last report.
        dev_f1: The dev score of the task after an epoch, see `cotpd.evaluation.tasks`; None between epochs.
        best_f1: The best dev score so far.
    """

    step: int
    num_steps: int
    epoch: int
    task_loss: float
    alignment_loss: float
    dev_f1: float | None
    best_f1: float | None


Listener = Callable[[Progress], None]
