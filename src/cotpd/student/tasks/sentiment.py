"""The output for target sentiment: a label for each marked target."""

from __future__ import annotations

from typing import ClassVar

from cotpd.student.design import Design
from cotpd.student.heads import MarkedSpanHead


class SentimentOutput:
    """The label of a target, from the state of the marker that opens it."""

    pipeline_tag: ClassVar[str] = "text-classification"
    tag: ClassVar[str] = "sentiment-analysis"

    def build_head(self, design: Design, hidden_size: int) -> MarkedSpanHead:
        """Return a head that reads one marked span."""
        return MarkedSpanHead(design.labels, num_spans=1, hidden_size=hidden_size)

    def names(self, design: Design) -> tuple[str, ...]:
        """Return the sentiments."""
        return design.labels

    def title(self, design: Design) -> str:
        """Return the title of the model card."""
        return "A text-only classifier of the sentiment toward a target"
