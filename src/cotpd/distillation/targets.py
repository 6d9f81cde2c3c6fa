"""Targets of two-stage distillation: the marginals of a finished run's knowledge-enhanced view, kept on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file

from cotpd.core.config import ExperimentConfig
from cotpd.core.errors import UsageError
from cotpd.core.files import hash_text, locked, new_directory, verify_directory
from cotpd.core.folds import in_fold
from cotpd.core.records import Example
from cotpd.inference.decoding import in_precision
from cotpd.student import checkpoint
from cotpd.student.student import Student
from cotpd.views.batch import Batch
from cotpd.views.view import ViewKind

Targets = Mapping[str, np.ndarray]
"""Log-probabilities ``[words, tags]`` or ``[1, labels]``, float16, of each training example by its id."""

_LOWEST = -1e4
_BATCH = 32


def read_targets(runs: Sequence[Path], examples: Sequence[Example], like: Student) -> Targets:
    """The log-probabilities of every example under finished runs, computed once and kept in the runs' directories.

    A run teaches by its knowledge-enhanced view, or, where it has none, by the view it ships (self-training, a
    control). One that left out a fold teaches that fold alone; the probabilities of several runs are averaged. Raises
    `UsageError` if a run has another task or other labels than ``like``, or if no run teaches an example.
    """
    if not runs:
        return {}
    taught: dict[str, list[np.ndarray]] = {example.id: [] for example in examples}
    for run in runs:
        if not (run / "config.toml").is_file():
            raise UsageError(f"objective.target_runs: {run} is no run; make it first, with `cotpd distill`")
        fold = ExperimentConfig.read(run / "config.toml").data.left_out
        chosen = [example for example in examples if fold is None or in_fold(example, fold)]
        for example_id, row in _recorded(run, chosen, like).items():
            taught[example_id].append(row)
    untaught = [example_id for example_id, rows in taught.items() if not rows]
    if untaught:
        names = ", ".join(map(str, runs))
        raise UsageError(
            f"{names}: {len(untaught)} posts, {untaught[0]} first, lie in no fold that these runs left out"
        )
    return {example_id: _mean(rows) for example_id, rows in taught.items()}


def teaching_view(run: Path) -> ViewKind:
    """The view by which a finished run teaches: the knowledge-enhanced one, or else the one it ships."""
    objective = ExperimentConfig.read(run / "config.toml").objective
    return ViewKind("knowledge" if "knowledge" in (objective.student, objective.target) else objective.student)


def _recorded(run: Path, examples: Sequence[Example], like: Student) -> Targets:
    _check_labels(run, like)
    content = hash_text(*(f"{example}" for example in examples))
    directory = run / f"targets-{content[:16]}"
    with locked(run / ".targets.lock"):
        if not directory.exists():
            student = checkpoint.load(run / "model")
            with new_directory(directory) as temporary:
                found = record_targets(student, examples, kind=teaching_view(run))
                tensors = {example_id: torch.from_numpy(row) for example_id, row in found.items()}
                checkpoint.save_tensors(tensors, temporary / "targets.safetensors")
    verify_directory(directory, advice="remove it, and its targets are recorded again")
    return load_file(directory / "targets.safetensors")


def _check_labels(run: Path, like: Student) -> None:
    design = checkpoint.read_design(run / "model")
    for name in ("task", "label_set", "relations"):
        taught, learnt = getattr(design, name), getattr(like.design, name)
        if taught != learnt:
            raise UsageError(f"{run}: trained with {name} {taught}, and this run has {learnt}; they must be the same")


def _mean(rows: Sequence[np.ndarray]) -> np.ndarray:
    """The logarithm of the mean of probabilities given by their logarithms."""
    return np.asarray(np.logaddexp.reduce(np.stack(rows).astype(np.float32)) - np.log(len(rows)), dtype=np.float16)


def record_targets(
    student: Student, examples: Sequence[Example], *, kind: ViewKind = ViewKind.KNOWLEDGE
) -> dict[str, np.ndarray]:
    """The log-probabilities of one view of each example, float16; the encoder runs in bfloat16 where it can."""
    reader, found = student.reader, {}
    related = student.design.task == "relations"
    views = [reader.read(example, kind, pair=example.relations[0] if related else None) for example in examples]
    order = sorted(range(len(views)), key=lambda index: len(views[index].ids))
    for start in range(0, len(order), _BATCH):
        chosen = order[start : start + _BATCH]
        batch = Batch.of([views[index] for index in chosen], pad=reader.pieces.pad)
        with torch.inference_mode(), in_precision(student, "auto"):
            mask = student.tensor(batch.decision_mask)
            scores = student.head.log_probabilities(student(batch), mask).clamp(min=_LOWEST)
        rows = scores.cpu().numpy().astype(np.float16)
        for index, row, real in zip(chosen, rows, batch.decision_mask, strict=True):
            found[examples[index].id] = row[real]
    return found
