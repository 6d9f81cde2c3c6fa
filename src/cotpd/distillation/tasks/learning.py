"""The interface between a task and training."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from cotpd.core.records import Example
from cotpd.student.design import Design
from cotpd.views.view import ViewReader


class TaskLearning(Protocol):
    """How the examples of one task are learned."""

    def check(self, example: Example, design: Design) -> None:
        """Check that the student can learn an example. Raises `DataError`, naming the example, if it cannot."""

    def check_dev(self, example: Example, reader: ViewReader) -> None:
        """Check that a dev example can be scored after every epoch. Raises `DataError`, naming it, if it cannot."""

    def units(self, examples: Sequence[Example], reader: ViewReader, taken: Collection[str]) -> Iterator[Example]:
        """Yield the units of learning: parts of the examples that fit the encoder.

        Args:
            examples: The examples, each checked.
            reader: The reader of the student.
            taken: Ids that new units must not use.
        """

    def gold(self, unit: Example, design: Design) -> npt.NDArray[np.int64]:
        """Return the index of the gold label of each decision; a label that the student does not know counts as 0."""
