"""The sentiment toward marked targets as annotations of examples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from cotpd.core.records import SENTIMENTS, Example, Prediction, Span, TargetSentiment
from cotpd.core.tasks.annotations import RecordT
from cotpd.core.units import split_units


class SentimentAnnotations:
    """A unit is one target, which is marked; the labels are `SENTIMENTS`, whatever the examples have."""

    key: ClassVar[str] = "sentiments"
    span_names: ClassVar[tuple[str, ...]] = ("target",)
    markers: ClassVar[tuple[str, ...]] = ("[t]", "[/t]")

    def of(self, record: Example | Prediction) -> tuple[TargetSentiment, ...]:
        """Return the sentiments of a record."""
        return record.sentiments

    def replaced(self, record: RecordT, annotations: Sequence[TargetSentiment]) -> RecordT:
        """Return the record with other sentiments."""
        return replace(record, sentiments=tuple(annotations))

    def from_row(self, row: dict[str, Any]) -> TargetSentiment:
        """Return the annotation of a JSON row."""
        return TargetSentiment(Span(**row["span"]), row["label"], row["score"])

    def labels(self, examples: Iterable[Example]) -> tuple[str, ...]:
        """Return negative, neutral and positive."""
        return SENTIMENTS

    def has_gold(self, example: Example) -> bool:
        """Return True if the example has a target: every label counts in the score."""
        return bool(example.sentiments)

    def without_labels(self, example: Example) -> Example:
        """Return the example with its targets still marked, all with the same label."""
        return replace(example, sentiments=tuple(replace(each, label=SENTIMENTS[0]) for each in example.sentiments))

    def units(self, examples: Iterable[Example]) -> Iterator[Example]:
        """Yield every target of every example."""
        every = tuple(examples)
        taken = {example.id for example in every}
        for example in every:
            parts = (replace(example, sentiments=(each,)) for each in example.sentiments)
            yield from split_units(example, parts, taken=taken)
