"""The processes that make one run together, under `accelerate launch` or `torchrun`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from accelerate import PartialState


def processes() -> PartialState:
    """This process among those that were launched with it; accelerate finds those without a device only when told."""
    return PartialState(cpu=not torch.accelerator.is_available())


def share(batch: Sequence[int], process: int, *, num_processes: int) -> list[int]:
    """The posts of a batch that process number ``process`` learns from, as many as every other.

    A batch that cannot be shared evenly is filled up with its own first posts, again and again.
    """
    most = -(-len(batch) // num_processes)
    return [batch[place % len(batch)] for place in range(process, most * num_processes, num_processes)]
