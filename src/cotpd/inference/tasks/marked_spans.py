"""The decoding of tasks with marked spans: each unit is read with its spans marked and gets one label."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch

from cotpd.core.records import Example, Span
from cotpd.core.tasks import marked_spans
from cotpd.inference.windows import Window
from cotpd.student.student import Student
from cotpd.views.batch import Batch
from cotpd.views.excerpts import narrow
from cotpd.views.view import View, ViewKind

_POOL = 32
"""The number of batches that are read and sorted by length together: a document may have thousands of pairs."""

_ONE_DECISION = Span(0, 1)


def read_unit(student: Student, unit: Example, kind: ViewKind) -> View:
    """Read a unit with its spans marked. Raises `DataError` if they do not fit the encoder together."""
    task = student.design.task
    narrowed = narrow(student.reader, unit, task)
    return student.reader.read(narrowed, kind, marked=marked_spans(narrowed, task))


def unit_windows(student: Student, number: int, units: Iterable[Example], kind: ViewKind) -> Iterator[Window]:
    """Yield a window of one decision for each unit of example ``number``."""
    for unit in units:
        yield Window(number, _ONE_DECISION, range(1), read_unit(student, unit, kind))


def classify(
    student: Student, units: Sequence[Example], kind: ViewKind, batch_size: int
) -> Iterator[tuple[str, float]]:
    """Yield the most probable label of each unit and its softmax probability."""
    size = _POOL * batch_size
    for start in range(0, len(units), size):
        yield from classify_views(
            student, [read_unit(student, unit, kind) for unit in units[start : start + size]], batch_size
        )


def classify_views(student: Student, views: Sequence[View], batch_size: int) -> list[tuple[str, float]]:
    """Return the most probable label of each view and its probability, from batches of views of similar lengths."""
    order = sorted(range(len(views)), key=lambda number: len(views[number].ids))
    labels: dict[int, tuple[str, float]] = {}
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        batch = Batch.of([views[number] for number in chosen], pad=student.reader.pieces.pad)
        scores, best = torch.max(student(batch).squeeze(1).softmax(-1), dim=-1)
        for number, index, score in zip(chosen, best.tolist(), scores.tolist(), strict=True):
            labels[number] = (student.design.labels[index], score)
    return [labels[number] for number in range(len(views))]
