"""Decoding of examples, read in any view, into predictions. All parts of the package use it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Literal

import torch

from cotpd.core.records import Example, Prediction
from cotpd.inference.tasks import DECODERS
from cotpd.student.memory import memory_advice
from cotpd.student.student import Student
from cotpd.views.view import ViewKind

_POOL = 32
"""The number of batches that are sorted by length together, which limits both padding and buffering."""
_ADVICE = "lower batch_size, stop other programs that use the device, or set CUDA_VISIBLE_DEVICES= to use the CPU"

Precision = Literal["auto", "float32", "bfloat16"]


def decode(
    student: Student,
    examples: Iterable[Example],
    *,
    kind: ViewKind,
    batch_size: int = 32,
    precision: Precision = "float32",
) -> Iterator[Prediction]:
    """Yield a prediction for each example, in order, from one view.

    Examples are taken from the iterable in pools of 32 batches, or one by one if ``batch_size`` is 1, so any stream can
    be decoded. What is predicted and scored depends on the task, see `cotpd.inference.tasks`.

    Args:
        student: The student; its training mode is restored after each pool.
        examples: The examples, of any length.
        kind: The view to read.
        batch_size: The number of views that the encoder reads together.
        precision: ``bfloat16`` is two to three times as fast where the device supports it, and changes about 1 in 600
            entities and scores by up to 0.01 (docs/explanation/statistics.md). ``auto`` uses it where the device
            supports it.

    Raises:
        TrainingError: If the device runs out of memory.
    """
    num_pooled = batch_size * _POOL if batch_size > 1 else 1
    source, decoder = iter(examples), DECODERS[student.design.task]
    while pool := list(islice(source, num_pooled)):
        with memory_advice(_ADVICE), _evaluating(student), torch.inference_mode(), in_precision(student, precision):
            predictions = decoder.decode(student, pool, kind, batch_size)
        yield from predictions


def in_precision(student: Student, precision: Precision) -> torch.autocast:
    """Return the context in which a student computes in ``bfloat16`` or float32."""
    device = student.device
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=resolve_precision(precision, device) == "bfloat16")


def resolve_precision(precision: Precision, device: torch.device) -> Precision:
    """Return the precision to use on a device: ``precision``, or the choice of ``auto``."""
    if precision != "auto":
        return precision
    return "bfloat16" if _has_bfloat16(device) else "float32"


@contextmanager
def _evaluating(student: Student) -> Iterator[None]:
    """Set the student to evaluation mode, and restore its mode afterwards."""
    was_training = student.training
    student.eval()
    try:
        yield
    finally:
        student.train(was_training)


def _has_bfloat16(device: torch.device) -> bool:
    """Return True if the device multiplies in bfloat16 instead of emulating it."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    is_supported = device.type == "cpu" and (
        torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    )
    return bool(is_supported)
