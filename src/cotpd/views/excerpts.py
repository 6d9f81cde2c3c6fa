"""Excerpts: the words of a span as a separate example, for texts that are longer than the encoder allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cotpd.core.config import Task
from cotpd.core.errors import DataError
from cotpd.core.records import Example, Span
from cotpd.core.tasks import ANNOTATIONS, marked_spans
from cotpd.views.view import ViewReader


def excerpt(example: Example, span: Span) -> Example:
    """Return the words of a span as an example, with the annotations that lie wholly inside."""
    part = replace(
        example,
        id=f"{example.id}[{span.start}:{span.end}]",
        words=example.words[span.start : span.end],
        part_of=example.post_id,
    )
    for task in ANNOTATIONS.values():
        annotations = task.of(example)
        inside = [annotation for annotation in annotations if all(map(span.contains, annotation.spans))]
        part = task.replaced(part, [annotation.moved(lambda own: own.shifted(-span.start)) for annotation in inside])
    return part


def narrow(reader: ViewReader, unit: Example, task: Task) -> Example:
    """Return a unit with marked spans, shortened to fit the encoder.

    The remaining words are balanced between both sides of the marked spans.

    Raises:
        DataError: If the words from the first to the last marked span do not fit.
    """
    marked = marked_spans(unit, task)
    inner = Span(min(span.start for span in marked), max(span.end for span in marked))
    widest = reader.max_text_pieces
    around = Span(max(0, inner.start - widest), min(len(unit.words), inner.end + widest))
    if around.end - around.start < len(unit.words):
        return narrow(reader, excerpt(unit, around), task)
    lengths = [len(word) for word in reader.pieces.of(unit.words)]
    max_pieces, num_inner = reader.max_marked_pieces(len(marked)), sum(lengths[inner.start : inner.end])
    room = max_pieces - num_inner
    if room < 0:
        between = " to ".join(repr(unit.words_of(span)) for span in marked)
        raise DataError(
            f"the words from {between} have {num_inner} pieces, but the encoder accepts at most {max_pieces}; "
            "remove this annotation from the corpus",
            where=unit.post_id,
        )
    if sum(lengths[: inner.start]) + sum(lengths[inner.end :]) <= room:
        return unit
    return excerpt(unit, _widened(inner, lengths, room))


def _widened(span: Span, lengths: Sequence[int], room: int) -> Span:
    """Return the span with as many neighbouring words as fit into ``room`` pieces, balanced between both sides."""
    start, end = span.start, span.end
    while True:
        fits_before = start > 0 and lengths[start - 1] <= room
        fits_after = end < len(lengths) and lengths[end] <= room
        if not fits_before and not fits_after:
            return Span(start, end)
        if fits_before and (not fits_after or span.start - start <= end - span.end):
            start -= 1
            room -= lengths[start]
        else:
            room -= lengths[end]
            end += 1
