"""The interface between a task and inference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Protocol

from cotpd.core.records import Example, Prediction
from cotpd.inference.windows import Window
from cotpd.student.student import Student
from cotpd.views.view import ViewKind


class TaskDecoder(Protocol):
    """How examples are read by a student of one task, and how its scores become predictions.

    Attributes:
        unit: What one view holds, for people: a window of words, a pair, a target.
    """

    unit: ClassVar[str]

    def decode(self, student: Student, pool: Sequence[Example], kind: ViewKind, batch_size: int) -> list[Prediction]:
        """Return one prediction for each example of a pool, in their order."""

    def windows(self, student: Student, number: int, example: Example, kind: ViewKind) -> Iterator[Window]:
        """Yield all that the student reads of example ``number``: of its words, or of its annotations in order."""

    def num_decisions(self, unit: Example) -> int:
        """Return the number of decisions about a unit: rows of its recorded targets."""
