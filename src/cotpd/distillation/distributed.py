"""The processes of one run, started by `accelerate launch` or `torchrun`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from accelerate import PartialState


def processes() -> PartialState:
    """Return the state of this process among the processes of its run, on machines with and without an accelerator."""
    return PartialState(cpu=not torch.accelerator.is_available())


def share_of_process(batch: Sequence[int], process: int, *, num_processes: int) -> list[int]:
    """Return the examples of a batch for one process; every process gets the same number.

    If a batch cannot be divided evenly, its first examples are repeated.
    """
    size = -(-len(batch) // num_processes)
    return [batch[place % len(batch)] for place in range(process, size * num_processes, num_processes)]
