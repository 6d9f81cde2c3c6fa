"""Targets of two-stage distillation: the marginals of a finished run's knowledge-enhanced view, kept on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from cotpd.core.errors import UsageError
from cotpd.core.files import hash_text, new_directory, verify_directory
from cotpd.core.labels import LabelSet
from cotpd.core.records import Example
from cotpd.student import checkpoint
from cotpd.student.student import Student
from cotpd.views.batch import Batch
from cotpd.views.view import ViewKind

Targets = Mapping[str, np.ndarray]
"""Log-marginals ``[words, tags]``, float16, of each training post by example id."""

_LOWEST = -1e4
_BATCH = 32


def read_targets(run: Path, examples: Sequence[Example], label_set: LabelSet) -> Targets:
    """The log-marginals of every example under a finished run, computed once and kept in the run's directory.

    Raises `UsageError` if the run was trained on other types: its tags would mean something else.
    """
    content = hash_text(*(f"{example}" for example in examples))
    directory = run / f"targets-{content[:16]}"
    if not directory.exists():
        student = checkpoint.load(run / "model")
        if student.label_set != label_set:
            raise UsageError(f"{run}: trained on {', '.join(student.label_set.types)}, not on this corpus's types")
        with new_directory(directory) as temporary:
            save_file(record_targets(student, examples), temporary / "targets.safetensors")
    verify_directory(directory)
    return load_file(directory / "targets.safetensors")


def record_targets(student: Student, examples: Sequence[Example]) -> dict[str, np.ndarray]:
    """The log-marginals of the knowledge-enhanced view of each example, float16 ``[words, tags]``."""
    reader, found = student.reader, {}
    views = [reader.read(example, ViewKind.KNOWLEDGE) for example in examples]
    order = sorted(range(len(views)), key=lambda index: len(views[index].ids))
    for start in range(0, len(order), _BATCH):
        chosen = order[start : start + _BATCH]
        batch = Batch.of([views[index] for index in chosen], pad=reader.pieces.pad)
        with torch.inference_mode():
            scores = student.crf.log_marginals(student(batch), student.tensor(batch.word_mask)).clamp(min=_LOWEST)
        for index, rows in zip(chosen, scores.cpu().numpy().astype(np.float16), strict=True):
            found[examples[index].id] = np.ascontiguousarray(rows[: len(examples[index].words)])
    return found
