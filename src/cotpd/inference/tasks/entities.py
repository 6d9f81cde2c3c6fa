"""The decoding of entities: the best tag sequence under the CRF, window by window."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from torch import Tensor

from cotpd.core.labels import LabelSet, split_tag
from cotpd.core.records import Entity, Example, Prediction, Span
from cotpd.inference.windows import Window, batches_by_length, text_windows
from cotpd.student.student import Student
from cotpd.views.batch import Batch
from cotpd.views.view import View, ViewKind

_Integers = npt.NDArray[np.int64]


class EntityDecoder:
    """Finds entities in running text.

    The score of an entity is the exact probability, under the CRF, that its words are one entity of its type. In a long
    text, an entity is taken from the window that has more context for it.
    """

    unit: ClassVar[str] = "window"

    def decode(self, student: Student, pool: Sequence[Example], kind: ViewKind, batch_size: int) -> list[Prediction]:
        """Return the entities of each example of a pool."""
        windows = [
            window for number, example in enumerate(pool) for window in text_windows(student, number, example, kind)
        ]
        entities: list[list[Entity]] = [[] for _ in pool]
        meanings = TagMeanings.of(student.label_set)
        for batch in batches_by_length(windows, batch_size):
            for row, entity in _entities(student, meanings, [window.view for window in batch]):
                if moved := _in_example(entity, batch[row]):
                    entities[batch[row].example].append(moved)
        return [
            Prediction(example.id, example.words, _without_overlaps(found))
            for example, found in zip(pool, entities, strict=True)
        ]

    def windows(self, student: Student, number: int, example: Example, kind: ViewKind) -> Iterator[Window]:
        """Yield the windows of the text."""
        return text_windows(student, number, example, kind)

    def num_decisions(self, unit: Example) -> int:
        """Return the number of words: each has a tag."""
        return len(unit.words)


@dataclass(frozen=True, slots=True)
class TagMeanings:
    """The meaning of each tag: whether it begins or continues an entity, ``[tags]`` bool, and the type."""

    begins: npt.NDArray[np.bool_]
    continues: npt.NDArray[np.bool_]
    types: tuple[str, ...]

    @classmethod
    def of(cls, label_set: LabelSet) -> TagMeanings:
        """Derive the meanings from the allowed transitions."""
        types = tuple(split_tag(tag)[1] for tag in label_set.tags)
        may_open = label_set.allowed_transitions()[-2, :-2]
        return cls(np.array([bool(name) for name in types]) & may_open, ~may_open, types)


def entity_spans(path: _Integers, meanings: TagMeanings) -> tuple[_Integers, _Integers, _Integers]:
    """Return row, first word and end of each entity in ``path [batch, words]``, by row and then by word."""
    rows, starts = np.nonzero(meanings.begins[path])
    width = path.shape[1] + 1
    breaks = np.flatnonzero(~np.pad(meanings.continues[path], ((0, 0), (0, 1))))
    ends = breaks[np.searchsorted(breaks, rows * width + starts, side="right")] - rows * width
    return rows, starts, ends


def _entities(student: Student, meanings: TagMeanings, views: Sequence[View]) -> Iterator[tuple[int, Entity]]:
    """Yield the entities of a batch of views with their row; spans count the words of the view."""
    batch = Batch.of(views, pad=student.reader.pieces.pad)
    emissions, mask = student(batch), student.tensor(batch.word_mask)
    paths: Tensor = student.crf.viterbi(emissions, mask)
    path = paths.cpu().numpy()
    rows, starts, ends = entity_spans(path, meanings)
    if not len(rows):
        return
    segments, may_follow = student.tensor(np.stack([rows, starts, ends])), student.tensor(~meanings.continues)
    log_probabilities = student.crf.segment_log_probabilities(emissions, mask, paths, segments, may_follow)
    scores = log_probabilities.clamp(max=0.0).exp().tolist()
    columns = [array.tolist() for array in (rows, starts, ends, path[rows, starts])]
    for row, start, end, tag, score in zip(*columns, scores, strict=True):
        yield row, Entity(Span(start, end), meanings.types[tag], score=score)


def _in_example(entity: Entity, window: Window) -> Entity | None:
    """Return the entity with the word offsets of its example; None if its middle lies outside the window's core."""
    moved, core = entity.moved(lambda span: span.shifted(window.span.start)), window.core
    is_central = core.start <= (moved.span.start + moved.span.end - 1) / 2 < core.stop
    return moved if is_central else None


def _without_overlaps(entities: Iterable[Entity]) -> tuple[Entity, ...]:
    """Return the entities in order; of two overlapping entities of different windows, only the more probable one."""
    chosen: list[Entity] = []
    for entity in sorted(entities, key=lambda entity: entity.span):
        if not chosen or chosen[-1].span.end <= entity.span.start:
            chosen.append(entity)
        elif (entity.score or 0.0) > (chosen[-1].score or 0.0):
            chosen[-1] = entity
    return tuple(chosen)
