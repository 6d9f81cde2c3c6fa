"""The training posts as batches of the views that an objective needs."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cotpd.core.config import ExperimentConfig, Part
from cotpd.core.errors import DataError
from cotpd.core.pairs import pairs, split_relations
from cotpd.core.records import Example
from cotpd.distillation.targets import read_targets
from cotpd.inference.candidates import readable_pairs
from cotpd.student.student import Student
from cotpd.views.batch import Batch, shuffled_batches
from cotpd.views.view import View, ViewKind, excerpt, narrowed

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Step:
    """The input of one update: the ids of its posts, the student's view, the target, and which posts have labels."""

    ids: tuple[str, ...]
    view: Batch
    target: Batch | Tensor | None
    labelled: npt.NDArray[np.bool_]


class Feed:
    """Batches that are a pure function of (seed, epoch, number), so that training resumes at any of them.

    Posts longer than the encoder takes are divided into windows first, between entities, or narrowed around their pair;
    none is cut in silence. The posts of ``unlabelled`` come among the others and have a target, but no gold labels.
    Raises `DataError`, naming the post, for entities that overlap or lie outside of it.
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
        taken = {example.id for example in (*examples, *unlabelled)}
        labelled = list(self._units(examples, taken))
        self.examples = [*labelled, *self._units(unlabelled, taken)]
        self._num_labelled = len(labelled)
        self._targets = read_targets(config.objective.target_runs, self.examples, student)
        views = [self._view(example, self._longest) for example in self.examples]
        self._lengths = [len(view.ids) for view in views]
        self.num_cut = sum(view.num_cut > 0 for view in views)
        """Posts whose knowledge is read, did not fit and was cut."""

    def batches(self, epoch: int) -> list[list[int]]:
        """The posts of each update of an epoch, by index."""
        size = self._config.optimisation.batch_size
        return list(shuffled_batches(self._lengths, size, seed=self._config.seed, epoch=epoch))

    def read(self, indices: Sequence[int], *, epoch: int) -> Step:
        """Read the views of the posts of one update."""
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
        """Posts that have a target alone."""
        return len(self.examples) - self._num_labelled

    @property
    def _longest(self) -> ViewKind:
        objective = self._config.objective
        return ViewKind.KNOWLEDGE if "knowledge" in (objective.student, objective.target) else ViewKind.TEXT

    def _units(self, examples: Sequence[Example], taken: Collection[str]) -> Iterator[Example]:
        """What is learnt at once: the windows of posts, or single pairs, called as none of ``taken`` is."""
        for example in examples:
            self._check(example)
        if self._design.task == "relations":
            for example, found in zip(examples, readable_pairs(self._reader, examples), strict=True):
                yield from (narrowed(self._reader, alone) for alone in split_relations(example, found, taken=taken))
            return
        for example in examples:
            entities = [entity.span for entity in example.entities]
            spans = list(self._reader.windows(example.words, whole=entities))
            units = [example] if len(spans) == 1 else [excerpt(example, span) for span in spans]
            if lost := len(entities) - sum(len(unit.entities) for unit in units):
                logger.warning("%s: %d entities are longer than the encoder takes and not learnt", example.id, lost)
            yield from units

    def _check(self, example: Example) -> None:
        """Raise `DataError`, naming the post, for entities that no tags can hold, or a pair that lies outside of it."""
        if self._design.task == "relations":
            return check_pairs(example)
        try:
            self._design.label_set.encode(example.entities, len(example.words))
        except DataError as error:
            raise DataError(str(error), where=example.id) from error

    def _batch(self, examples: Sequence[Example], kind: ViewKind, indices: Sequence[int], epoch: int) -> Batch:
        views = [
            self._view(example, kind, without=self._dropped(index, epoch))
            for example, index in zip(examples, indices, strict=True)
        ]
        return Batch.of(views, pad=self._reader.pieces.pad, gold=[self._gold(example) for example in examples])

    def _view(self, example: Example, kind: ViewKind, *, without: Collection[Part] = ()) -> View:
        pair = example.relations[0] if self._design.task == "relations" else None
        return self._reader.read(example, kind, without=without, pair=pair)

    def _gold(self, example: Example) -> np.ndarray:
        """Tag indices of the words, or the index of the pair's label."""
        if self._design.task == "relations":
            return np.array([self._design.relations.index(example.relations[0].label)])
        return self._design.label_set.encode(example.entities, len(example.words))

    def _dropped(self, index: int, epoch: int) -> frozenset[Part]:
        share = self._config.views.part_dropout
        if not share:
            return frozenset()
        draws = np.random.default_rng([self._config.seed, epoch, index]).random(len(self._config.views.parts))
        return frozenset(part for part, draw in zip(self._config.views.parts, draws, strict=True) if draw < share)

    def _recorded(self, examples: Sequence[Example], view: Batch) -> Tensor:
        targets = [self._targets[example.id] for example in examples]
        recorded = np.zeros((*view.decision_mask.shape, targets[0].shape[-1]), dtype=np.float32)
        for row, target in enumerate(targets):
            recorded[row, : len(target)] = target
        return torch.from_numpy(recorded)


def check_pairs(example: Example) -> None:
    """Raise `DataError`, naming the post, for a pair that lies outside of it."""
    num_words = len(example.words)
    last = max((span.end for pair in pairs(example) for span in (pair.head, pair.tail)), default=0)
    if last > num_words:
        raise DataError(f"a pair ends at word {last} of a post of {num_words} words", where=example.id)
