"""Targets of two-stage distillation: the marginals of a finished run's knowledge-enhanced view, kept on disk."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file

from cotpd.core.config import ExperimentConfig, Part
from cotpd.core.errors import DataError, UsageError
from cotpd.core.files import hash_text, locked, new_directory, verify_directory
from cotpd.core.records import Example, Span
from cotpd.distillation.training_set.folds import in_fold
from cotpd.inference.decoding import Window, in_precision, windows
from cotpd.student import checkpoint
from cotpd.student.memory import enough_memory
from cotpd.student.student import Student
from cotpd.views.batch import Batch
from cotpd.views.view import ViewKind, narrowed

logger = logging.getLogger(__name__)

Targets = Mapping[str, np.ndarray]
"""Log-probabilities ``[words, tags]`` or ``[1, labels]``, float16, of each training example by its id."""

_LOWEST = -1e4
_BATCH = 32


def read_targets(runs: Sequence[Path], examples: Sequence[Example], like: Student) -> Targets:
    """The log-probabilities of every example under finished runs, computed once and kept in the runs' directories.

    A run teaches by its knowledge-enhanced view, or, where it has none, by the view it ships (self-training, a
    control). One that left out a fold teaches that fold alone; the probabilities of several runs are averaged. Raises
    `UsageError` if a run has another task or other labels than ``like``, or if no run teaches an example, and
    `DataError` for two examples of one id: which target is whose?
    """
    if not runs:
        return {}
    if doubled := [example_id for example_id, count in Counter(post.id for post in examples).items() if count > 1]:
        raise DataError("several training posts have this id; targets are recorded by it", where=doubled[0])
    taught: dict[str, list[np.ndarray]] = {example.id: [] for example in examples}
    for run in runs:
        fold = _settings(run).training_set.fold
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
    objective = _settings(run).objective
    return ViewKind("knowledge" if "knowledge" in (objective.student, objective.target) else objective.student)


def parts_read(config: ExperimentConfig) -> tuple[tuple[Part, ...], ...]:
    """The parts of the knowledge that a run learns from: those that it reads itself, those that each target run reads.

    Each selection stands once; there is none where neither the run nor its target reads knowledge.
    """
    objective = config.objective
    own = [config] if "knowledge" in (objective.student, objective.target) else []
    runs = [run for run in objective.target_runs if teaching_view(run) is ViewKind.KNOWLEDGE]
    return tuple(dict.fromkeys(reader.views.parts for reader in (*own, *map(_settings, runs))))


def _settings(run: Path) -> ExperimentConfig:
    if not (run / "config.toml").is_file():
        raise UsageError(f"objective.target_runs: {run} is no run; make it first, with `cotpd distill`")
    return ExperimentConfig.of_run(run)


def _recorded(run: Path, examples: Sequence[Example], like: Student) -> Targets:
    _check_labels(run, like)
    content = hash_text(*(f"{example}" for example in examples))
    directory = run / f"targets-{content[:16]}"
    if not directory.exists():
        _record(run, examples, directory)
    verify_directory(directory, advice="remove it, and its targets are recorded again")
    return load_file(directory / "targets.safetensors")


def _record(run: Path, examples: Sequence[Example], directory: Path) -> None:
    """Record the targets, unless another process has done so by the time that it is this one's turn."""
    with locked(run / ".targets.lock"):
        if directory.exists():
            return
        student = checkpoint.load(run / "model")
        with new_directory(directory) as temporary:
            found = record_targets(student, examples, kind=teaching_view(run))
            tensors = {example_id: torch.from_numpy(row) for example_id, row in found.items()}
            checkpoint.save_tensors(tensors, temporary / "targets.safetensors")


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
    """The log-probabilities of one view of each example, float16; the encoder runs in bfloat16 where it can.

    An example longer than the encoder takes is read in windows, as by `decode`, or narrowed around its pair.
    """
    found = {example.id: _room(student, example) for example in examples}
    read = [window for number, example in enumerate(examples) for window in _windows(student, number, example, kind)]
    if num_cut := len({window.post for window in read if window.view.num_cut}):
        logger.info("the target reads cut knowledge of %d of %d posts (views.knowledge_pieces)", num_cut, len(examples))
    read.sort(key=lambda window: len(window.view.ids))
    for start in range(0, len(read), _BATCH):
        chosen = read[start : start + _BATCH]
        batch = Batch.of([window.view for window in chosen], pad=student.reader.pieces.pad)
        with enough_memory(), torch.inference_mode(), in_precision(student, "auto"):
            mask = student.tensor(batch.decision_mask)
            scores = student.head.log_probabilities(student(batch), mask).clamp(min=_LOWEST)
        rows = scores.cpu().numpy().astype(np.float16)
        for window, row in zip(chosen, rows, strict=True):
            first, core = window.span.start, window.core
            found[examples[window.post].id][core.start : core.stop] = row[core.start - first : core.stop - first]
    return found


def _room(student: Student, example: Example) -> np.ndarray:
    """Room for what is decided of an example: ``[words, tags]`` or ``[1, labels]``."""
    design = student.design
    if design.task == "relations":
        return np.empty((1, len(design.relations)), dtype=np.float16)
    return np.empty((len(example.words), len(design.label_set.tags)), dtype=np.float16)


def _windows(student: Student, number: int, example: Example, kind: ViewKind) -> Iterator[Window]:
    """What is read of an example; that of a pair, which is one decision, counts it as a word."""
    if student.design.task == "relations":
        marked = narrowed(student.reader, example)
        view = student.reader.read(marked, kind, pair=marked.relations[0])
        yield Window(number, Span(0, 1), range(1), view)
    else:
        yield from windows(student, number, example, kind)
