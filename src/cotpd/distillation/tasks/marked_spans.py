"""Checks and labels that tasks with marked spans share in training."""

from __future__ import annotations

from collections.abc import Iterable

from cotpd.core.errors import DataError
from cotpd.core.records import Annotation, Example, Span
from cotpd.student.design import Design


def check_spans(example: Example, spans: Iterable[Span]) -> None:
    """Raise `DataError`, naming the example, for a span that ends after its last word."""
    num_words = len(example.words)
    last = max((span.end for span in spans), default=0)
    if last > num_words:
        raise DataError(f"a marked span ends at word {last}, but the example has {num_words} words", where=example.id)


def check_labels(example: Example, annotations: Iterable[Annotation], design: Design) -> None:
    """Raise `DataError`, naming the example, for a label that the student does not know."""
    if unknown := sorted({annotation.label for annotation in annotations} - set(design.labels)):
        raise DataError(
            f"unknown label {unknown[0]!r}; the labels of this run are {', '.join(design.labels)}", where=example.id
        )


def label_index(label: str, design: Design) -> int:
    """Return the index of a label; 0 for a label that the student does not know."""
    return design.labels.index(label) if label in design.labels else 0
