"""The interface between a task and inference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Protocol

from cotpd.core.records import Example, Prediction
from cotpd.inference.windows import Window
from cotpd.student.student import Student
from cotpd.views.view import ViewKind


class TaskDecoder(Protocol):
    """How a student reads the examples of one task, and how its scores become predictions.

    Attributes:
        unit: The name of the part that one view covers, for display: ``window``, ``pair`` or ``target``.
    """

    unit: ClassVar[str]

    def decode(self, student: Student, pool: Sequence[Example], kind: ViewKind, batch_size: int) -> list[Prediction]:
        """Return a prediction for each example of a pool, in order."""

    def windows(self, student: Student, number: int, example: Example, kind: ViewKind) -> Iterator[Window]:
        """Yield the windows of example ``number``: of its words, or one for each annotation in order."""

    def num_decisions(self, unit: Example) -> int:
        """Return the number of decisions about a unit, which is the number of rows of its recorded targets."""
