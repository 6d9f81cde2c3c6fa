"""What training tells whoever watches it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """The state of a run after an update; losses are means since the last report, F1 is micro F1 on dev."""

    step: int
    num_steps: int
    epoch: int
    task_loss: float
    alignment_loss: float
    dev_f1: float | None
    best_f1: float | None


Listener = Callable[[Progress], None]
