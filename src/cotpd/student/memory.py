"""When the memory of a device runs out: a failure with advice, and no bug."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from cotpd.core.errors import TrainingError


@contextmanager
def enough_memory(
    advice: str = "stop what else uses the device, or set CUDA_VISIBLE_DEVICES= to use the CPU",
) -> Iterator[None]:
    """Raise `TrainingError`, with what to do, where what is done inside runs out of the device's memory."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise TrainingError(f"out of memory; {advice}") from error
