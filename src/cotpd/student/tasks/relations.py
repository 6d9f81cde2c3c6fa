"""The output for relations: a label for each marked pair."""

from __future__ import annotations

from typing import ClassVar

from cotpd.student.design import Design
from cotpd.student.heads import MarkedSpanHead


class RelationOutput:
    """The label of a pair, from the states of the markers that open its head and its tail."""

    pipeline_tag: ClassVar[str] = "text-classification"
    tag: ClassVar[str] = "relation-extraction"

    def build_head(self, design: Design, hidden_size: int) -> MarkedSpanHead:
        """Return a head that reads two marked spans."""
        return MarkedSpanHead(design.labels, num_spans=2, hidden_size=hidden_size)

    def names(self, design: Design) -> tuple[str, ...]:
        """Return the relation labels."""
        return design.labels

    def title(self, design: Design) -> str:
        """Return the title of the model card."""
        return f"A text-only extractor of {', '.join(design.labels[1:])}"
