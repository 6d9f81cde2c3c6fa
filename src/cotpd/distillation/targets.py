"""Targets of two-stage distillation: the log-probabilities of teacher runs, recorded on disk."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file

from cotpd.core.config import ExperimentConfig, Part
from cotpd.core.errors import DataError, UsageError
from cotpd.core.files import hash_text, new_directory, verify_directory
from cotpd.core.guards.locks import locked
from cotpd.core.records import Example
from cotpd.distillation.training_set.folds import in_fold
from cotpd.inference.decoding import in_precision
from cotpd.inference.tasks import DECODERS
from cotpd.student import checkpoint
from cotpd.student.memory import memory_advice
from cotpd.student.student import Student
from cotpd.student.tasks import OUTPUTS
from cotpd.student.weight_file import save_tensors
from cotpd.views.batch import Batch
from cotpd.views.view import ViewKind

logger = logging.getLogger(__name__)

Targets = Mapping[str, np.ndarray]
"""Log-probabilities ``[decisions, labels]``, float16, of each training unit by its id."""

_LOWEST = -1e4
_BATCH = 32


def read_targets(runs: Sequence[Path], examples: Sequence[Example], student: Student) -> Targets:
    """Read the log-probabilities of every unit under finished teacher runs, and record them in the runs if needed.

    A teacher uses its knowledge-enhanced view, or its deployed view if it does not read knowledge (self-training, a
    control). A teacher with a held-out fold teaches only that fold. The probabilities of several teachers are averaged.

    Args:
        runs: The directories of the teacher runs.
        examples: The units, with unique ids.
        student: The student that learns from the targets.

    Raises:
        UsageError: If a teacher has another task or other labels than the student, or no teacher covers a unit.
        DataError: If two units have the same id.
    """
    if not runs:
        return {}
    if repeated := [unit_id for unit_id, count in Counter(unit.id for unit in examples).items() if count > 1]:
        raise DataError(
            "two training examples have this id, but targets are recorded by id; give each example its own id",
            where=repeated[0],
        )
    by_unit: dict[str, list[np.ndarray]] = {example.id: [] for example in examples}
    for run in runs:
        fold = _settings(run).training_set.fold
        chosen = [example for example in examples if fold is None or in_fold(example, fold)]
        for unit_id, rows in _load_or_record(run, chosen, student).items():
            by_unit[unit_id].append(rows)
    if missing := [unit_id for unit_id, rows in by_unit.items() if not rows]:
        names = ", ".join(map(str, runs))
        raise UsageError(
            f"{names}: {len(missing)} examples are in no held-out fold of these runs, the first is {missing[0]}; "
            "list the runs of all folds in objective.target_runs"
        )
    return {unit_id: _mean(rows) for unit_id, rows in by_unit.items()}


def teaching_view(run: Path) -> ViewKind:
    """Return the view that provides the targets of a finished run: knowledge-enhanced, otherwise deployed."""
    objective = _settings(run).objective
    return ViewKind("knowledge" if "knowledge" in (objective.student, objective.target) else objective.student)


def parts_read(config: ExperimentConfig) -> tuple[tuple[Part, ...], ...]:
    """Return the parts of the knowledge that a run and its teachers read, one tuple for each distinct selection."""
    objective = config.objective
    own = [config] if "knowledge" in (objective.student, objective.target) else []
    teachers = [run for run in objective.target_runs if teaching_view(run) is ViewKind.KNOWLEDGE]
    return tuple(dict.fromkeys(reader.views.parts for reader in (*own, *map(_settings, teachers))))


def record_targets(
    student: Student, examples: Sequence[Example], *, kind: ViewKind = ViewKind.KNOWLEDGE
) -> dict[str, np.ndarray]:
    """Compute the log-probabilities of one view of each unit, ``[decisions, labels]`` float16.

    The encoder runs in bfloat16 where the device supports it. A unit that is longer than the encoder allows is read in
    windows, as in `decode`.
    """
    decoder, num_labels = DECODERS[student.design.task], len(OUTPUTS[student.design.task].names(student.design))
    targets = {
        example.id: np.empty((decoder.num_decisions(example), num_labels), dtype=np.float16) for example in examples
    }
    read = [
        window for number, example in enumerate(examples) for window in decoder.windows(student, number, example, kind)
    ]
    if num_cut := len({window.example for window in read if window.view.num_cut}):
        logger.info("the teacher reads truncated knowledge of %d of %d examples", num_cut, len(examples))
    read.sort(key=lambda window: len(window.view.ids))
    for start in range(0, len(read), _BATCH):
        chosen = read[start : start + _BATCH]
        rows = _log_probabilities(student, Batch.of([window.view for window in chosen], pad=student.reader.pieces.pad))
        for window, row in zip(chosen, rows, strict=True):
            first, core = window.span.start, window.core
            targets[examples[window.example].id][core.start : core.stop] = row[core.start - first : core.stop - first]
    return targets


def _log_probabilities(student: Student, batch: Batch) -> np.ndarray:
    """Return ``[batch, decisions, labels]`` float16."""
    with memory_advice(), torch.inference_mode(), in_precision(student, "auto"):
        mask = student.tensor(batch.decision_mask)
        scores = student.head.log_probabilities(student(batch), mask).clamp(min=_LOWEST)
    return scores.cpu().numpy().astype(np.float16)


def _settings(run: Path) -> ExperimentConfig:
    if not (run / "config.toml").is_file():
        raise UsageError(f"objective.target_runs: {run} is not a run; train it first with `cotpd distill`")
    return ExperimentConfig.of_run(run)


def _load_or_record(run: Path, examples: Sequence[Example], student: Student) -> Targets:
    _check_labels(run, student)
    content = hash_text(*(f"{example}" for example in examples))
    directory = run / f"targets-{content[:16]}"
    if not directory.exists():
        _record(run, examples, directory)
    verify_directory(directory, advice="remove it to record the targets again")
    return load_file(directory / "targets.safetensors")


def _record(run: Path, examples: Sequence[Example], directory: Path) -> None:
    """Record the targets, unless another process has recorded them while this one waited for the lock."""
    with locked(run / ".targets.lock"):
        if directory.exists():
            return
        student = checkpoint.load(run / "model")
        with new_directory(directory) as temporary:
            targets = record_targets(student, examples, kind=teaching_view(run))
            tensors = {unit_id: torch.from_numpy(rows) for unit_id, rows in targets.items()}
            save_tensors(tensors, temporary / "targets.safetensors")


def _check_labels(run: Path, student: Student) -> None:
    design = checkpoint.read_design(run / "model")
    for name in ("task", "labels", "scheme"):
        teacher, own = getattr(design, name), getattr(student.design, name)
        if teacher != own:
            raise UsageError(f"{run}: the teacher has the {name} {teacher}, this run has {own}; train a new teacher")


def _mean(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Return the logarithm of the mean of probabilities that are given as logarithms."""
    return np.asarray(np.logaddexp.reduce(np.stack(rows).astype(np.float32)) - np.log(len(rows)), dtype=np.float16)
