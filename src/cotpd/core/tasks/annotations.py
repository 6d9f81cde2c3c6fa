"""The interface between a task and the records: which annotations it has and what they mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, Protocol, TypeVar

from cotpd.core.records import Annotation, Example, Prediction

AnnotationT = TypeVar("AnnotationT", bound=Annotation)
RecordT = TypeVar("RecordT", Example, Prediction)


class TaskAnnotations(Protocol[AnnotationT]):
    """The annotations of one task in examples and predictions.

    Attributes:
        key: The key of the annotations in JSON rows, and their field in records.
        span_names: The names of the spans of an annotation, in the order of its ``spans``.
        markers: The opening and the closing marker of each span that the encoder reads marked, as people read them.
            Empty if the task marks nothing.
    """

    key: ClassVar[str]
    span_names: ClassVar[tuple[str, ...]]
    markers: ClassVar[tuple[str, ...]]

    def of(self, record: Example | Prediction) -> tuple[AnnotationT, ...]:
        """Return the annotations of a record."""

    def replaced(self, record: RecordT, annotations: Sequence[AnnotationT]) -> RecordT:
        """Return the record with other annotations of this task."""

    def from_row(self, row: dict[str, Any]) -> AnnotationT:
        """Return the annotation whose ``dataclasses.asdict`` is ``row``. Raises KeyError, TypeError or ValueError."""

    def labels(self, examples: Iterable[Example]) -> tuple[str, ...]:
        """Return the labels that a student of these examples distinguishes, in a fixed order."""

    def has_gold(self, example: Example) -> bool:
        """Return True if the example has an annotation that counts in the score."""

    def without_labels(self, example: Example) -> Example:
        """Return the example with its labels removed, as if nobody had annotated it."""

    def units(self, examples: Iterable[Example]) -> Iterator[Example]:
        """Yield the units of the examples: one decision or one sequence of decisions each."""
