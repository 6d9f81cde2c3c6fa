"""Windows: the parts of examples that a student reads at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from cotpd.core.records import Example, Span
from cotpd.student.student import Student
from cotpd.views.excerpts import excerpt
from cotpd.views.view import View, ViewKind

_OVERLAP = 32
"""The number of words that the windows of a long text share, so that entities at an edge have context on both sides."""


@dataclass(frozen=True, slots=True)
class Window:
    """One view of an example.

    Attributes:
        example: The number of the example.
        span: The decisions that the view covers: words of the example, or the one decision about marked spans.
        core: The decisions for which no other window has more context.
    """

    example: int
    span: Span
    core: range
    view: View


def text_windows(student: Student, number: int, example: Example, kind: ViewKind) -> Iterator[Window]:
    """Yield the windows of a text: a single one, or several that overlap if the text is too long for the encoder."""
    spans = list(student.reader.windows(example.words, overlap=_OVERLAP))
    middles = [(after.start + before.end) // 2 for before, after in pairwise(spans)]
    edges = [0, *middles, len(example.words)]
    for place, span in enumerate(spans):
        part = example if len(spans) == 1 else excerpt(example, span)
        yield Window(number, span, range(edges[place], edges[place + 1]), student.reader.read(part, kind))


def batches_by_length(windows: Iterable[Window], batch_size: int) -> Iterator[list[Window]]:
    """Yield batches of windows, the shortest first.

    A batch that is at least half full ends where longer windows begin, because padding costs more than a small batch.
    """
    batch: list[Window] = []
    for window in sorted(windows, key=lambda window: len(window.view.ids)):
        is_longer = bool(batch) and len(window.view.ids) > len(batch[-1].view.ids)
        if len(batch) == batch_size or (is_longer and 2 * len(batch) >= batch_size):
            yield batch
            batch = []
        batch.append(window)
    if batch:
        yield batch
