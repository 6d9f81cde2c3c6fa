"""Training batches: the units of the training examples in the views that an objective needs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cotpd.core.config import ExperimentConfig, Part
from cotpd.core.records import Example
from cotpd.core.tasks import marked_spans
from cotpd.distillation.targets import read_targets
from cotpd.distillation.tasks import LEARNING
from cotpd.student.student import Student
from cotpd.views.batch import Batch, shuffled_batches
from cotpd.views.view import View, ViewKind


@dataclass(frozen=True, slots=True)
class Step:
    """The input of one update.

    Attributes:
        ids: The ids of the units.
        view: The student's view.
        target: The target's view, or recorded log-probabilities, or None.
        labelled: ``[batch]`` bool, True for units with gold labels.
    """

    ids: tuple[str, ...]
    view: Batch
    target: Batch | Tensor | None
    labelled: npt.NDArray[np.bool_]


class TrainingBatches:
    """The batches of a run: a pure function of seed, epoch and index, so that training can resume at any batch.

    An example that is longer than the encoder allows is divided into several units; nothing is truncated silently.

    Args:
        student: The student, which determines the task and the pieces.
        examples: The training examples.
        config: The configuration of the run.
        unlabelled: Examples without gold labels, which have only a target. They are mixed with the labelled ones.

    Raises:
        DataError: If an example cannot be learned, for example because its entities overlap.
    """

    def __init__(
        self,
        student: Student,
        examples: Sequence[Example],
        config: ExperimentConfig,
        *,
        unlabelled: Sequence[Example] = (),
    ) -> None:
        self._reader, self._design, self._config = student.reader, student.design, config
        self._learning = LEARNING[student.design.task]
        taken = {example.id for example in (*examples, *unlabelled)}
        labelled = self._units(examples, taken)
        self.examples = [*labelled, *self._units(unlabelled, taken)]
        self._num_labelled = len(labelled)
        self._targets = read_targets(config.objective.target_runs, self.examples, student)
        views = [self._view(example, self._longest_view) for example in self.examples]
        self._lengths = [len(view.ids) for view in views]
        self.num_cut = sum(view.num_cut > 0 for view in views)
        """The number of units whose knowledge was truncated."""

    def batches(self, epoch: int) -> list[list[int]]:
        """Return the units of each update of an epoch, by index."""
        size = self._config.optimisation.batch_size
        return list(shuffled_batches(self._lengths, size, seed=self._config.seed, epoch=epoch))

    def read(self, indices: Sequence[int], *, epoch: int) -> Step:
        """Read the views of the units of one update."""
        examples = [self.examples[index] for index in indices]
        objective = self._config.objective
        view = self._batch(examples, ViewKind(objective.student), indices, epoch)
        if objective.target == "none":
            target: Batch | Tensor | None = None
        elif objective.target == "recorded":
            target = self._recorded(examples, view)
        else:
            target = self._batch(examples, ViewKind(objective.target), indices, epoch)
        labelled = np.array(indices) < self._num_labelled
        return Step(tuple(example.id for example in examples), view, target, labelled)

    @property
    def num_unlabelled(self) -> int:
        """The number of units that have only a target."""
        return len(self.examples) - self._num_labelled

    @property
    def _longest_view(self) -> ViewKind:
        objective = self._config.objective
        return ViewKind.KNOWLEDGE if "knowledge" in (objective.student, objective.target) else ViewKind.TEXT

    def _units(self, examples: Sequence[Example], taken: Collection[str]) -> list[Example]:
        for example in examples:
            self._learning.check(example, self._design)
        return list(self._learning.units(examples, self._reader, taken))

    def _batch(self, examples: Sequence[Example], kind: ViewKind, indices: Sequence[int], epoch: int) -> Batch:
        views = [
            self._view(example, kind, without=self._dropped(index, epoch))
            for example, index in zip(examples, indices, strict=True)
        ]
        gold = [self._learning.gold(example, self._design) for example in examples]
        return Batch.of(views, pad=self._reader.pieces.pad, gold=gold)

    def _view(self, unit: Example, kind: ViewKind, *, without: Collection[Part] = ()) -> View:
        return self._reader.read(unit, kind, marked=marked_spans(unit, self._design.task), without=without)

    def _dropped(self, index: int, epoch: int) -> frozenset[Part]:
        """Return the parts of the knowledge that part dropout removes from a unit in an epoch."""
        probability = self._config.views.part_dropout
        if not probability:
            return frozenset()
        draws = np.random.default_rng([self._config.seed, epoch, index]).random(len(self._config.views.parts))
        return frozenset(part for part, draw in zip(self._config.views.parts, draws, strict=True) if draw < probability)

    def _recorded(self, examples: Sequence[Example], view: Batch) -> Tensor:
        """Return the recorded log-probabilities of a batch, ``[batch, decisions, labels]``."""
        targets = [self._targets[example.id] for example in examples]
        recorded = np.zeros((*view.decision_mask.shape, targets[0].shape[-1]), dtype=np.float32)
        for row, target in enumerate(targets):
            recorded[row, : len(target)] = target
        return torch.from_numpy(recorded)
