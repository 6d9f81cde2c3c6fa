"""The interface between a task and the student."""

from __future__ import annotations

from typing import ClassVar, Protocol

from cotpd.student.design import Design
from cotpd.student.heads import Head


class TaskOutput(Protocol):
    """The output of a student for one task.

    Attributes:
        pipeline_tag: The Hugging Face task in the model card.
        tag: The tag of the task in the model card.
    """

    pipeline_tag: ClassVar[str]
    tag: ClassVar[str]

    def build_head(self, design: Design, hidden_size: int) -> Head:
        """Return a new head for encoder states of this size."""

    def names(self, design: Design) -> tuple[str, ...]:
        """Return the name of each output of the head."""

    def title(self, design: Design) -> str:
        """Return the title of the model card."""
