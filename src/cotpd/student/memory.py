"""Out-of-memory errors of torch, translated into errors that say what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from cotpd.core.errors import TrainingError

_CPU_MESSAGE = "can't allocate memory"
"""Part of the message of the RuntimeError that torch raises on the CPU."""


@contextmanager
def memory_advice(
    advice: str = "stop other programs that use the device, or set CUDA_VISIBLE_DEVICES= to use the CPU",
) -> Iterator[None]:
    """Raise `TrainingError` with ``advice`` if the block runs out of memory on a GPU or the CPU."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and _CPU_MESSAGE not in str(error):
            raise
        raise TrainingError(f"out of memory; {advice}") from error
