"""Targets of two-stage distillation: the marginals of a finished run's knowledge-enhanced view, kept on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from cotpd.core.errors import UsageError
from cotpd.core.files import hash_text, new_directory, verify_directory
from cotpd.core.records import Example
from cotpd.student import checkpoint
from cotpd.student.student import Student
from cotpd.views.batch import Batch
from cotpd.views.view import ViewKind

Targets = Mapping[str, np.ndarray]
"""Log-probabilities ``[words, tags]`` or ``[1, labels]``, float16, of each training example by its id."""

_LOWEST = -1e4
_BATCH = 32


def read_targets(run: Path, examples: Sequence[Example], like: Student) -> Targets:
    """The log-probabilities of every example under a finished run, computed once and kept in the run's directory.

    Raises `UsageError` if the run was trained on another task or other labels than ``like``.
    """
    content = hash_text(*(f"{example}" for example in examples))
    directory = run / f"targets-{content[:16]}"
    if not directory.exists():
        student = checkpoint.load(run / "model")
        for name in ("task", "label_set", "relations"):
            if getattr(student.design, name) != getattr(like.design, name):
                raise UsageError(f"{run}: trained with {name} {getattr(student.design, name)}, not this corpus's")
        with new_directory(directory) as temporary:
            save_file(record_targets(student, examples), temporary / "targets.safetensors")
    verify_directory(directory)
    return load_file(directory / "targets.safetensors")


def record_targets(student: Student, examples: Sequence[Example]) -> dict[str, np.ndarray]:
    """The log-probabilities of the knowledge-enhanced view of each example, float16."""
    reader, found = student.reader, {}
    related = student.design.task == "relations"
    views = [
        reader.read(example, ViewKind.KNOWLEDGE, pair=example.relations[0] if related else None) for example in examples
    ]
    order = sorted(range(len(views)), key=lambda index: len(views[index].ids))
    for start in range(0, len(order), _BATCH):
        chosen = order[start : start + _BATCH]
        batch = Batch.of([views[index] for index in chosen], pad=reader.pieces.pad)
        with torch.inference_mode():
            mask = student.tensor(batch.decision_mask)
            scores = student.head.log_probabilities(student(batch), mask).clamp(min=_LOWEST)
        rows = scores.cpu().numpy().astype(np.float16)
        for index, row, real in zip(chosen, rows, batch.decision_mask, strict=True):
            found[examples[index].id] = row[real]
    return found
