"""The output for entities: a tag for each word."""

from __future__ import annotations

from typing import ClassVar

from cotpd.student.design import Design
from cotpd.student.heads import TaggingHead


class EntityOutput:
    """Tags of words, decoded by a CRF."""

    pipeline_tag: ClassVar[str] = "token-classification"
    tag: ClassVar[str] = "named-entity-recognition"

    def build_head(self, design: Design, hidden_size: int) -> TaggingHead:
        """Return a tagging head."""
        return TaggingHead(design.label_set, hidden_size=hidden_size)

    def names(self, design: Design) -> tuple[str, ...]:
        """Return the tags."""
        return design.label_set.tags

    def title(self, design: Design) -> str:
        """Return the title of the model card."""
        return f"A text-only extractor of {', '.join(design.labels)}"
