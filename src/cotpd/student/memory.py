"""When the memory of a device runs out: a failure with advice, and no bug."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from cotpd.core.errors import TrainingError

_OF_CPU = "can't allocate memory"
"""What torch's allocator says on the CPU, in a plain RuntimeError."""


@contextmanager
def enough_memory(
    advice: str = "stop what else uses the device, or set CUDA_VISIBLE_DEVICES= to use the CPU",
) -> Iterator[None]:
    """Raise `TrainingError`, with what to do, where what is done inside runs out of a device's memory, or the CPU's."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and _OF_CPU not in str(error):
            raise
        raise TrainingError(f"out of memory; {advice}") from error
