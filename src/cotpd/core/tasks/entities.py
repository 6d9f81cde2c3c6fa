"""Named entities as annotations of examples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from cotpd.core.records import Entity, Example, Prediction, Span
from cotpd.core.tasks.annotations import RecordT


class EntityAnnotations:
    """Entities are found in plain text, so nothing is marked and a unit is a whole example."""

    key: ClassVar[str] = "entities"
    span_names: ClassVar[tuple[str, ...]] = ("entity",)
    markers: ClassVar[tuple[str, ...]] = ()

    def of(self, record: Example | Prediction) -> tuple[Entity, ...]:
        """Return the entities of a record."""
        return record.entities

    def replaced(self, record: RecordT, annotations: Sequence[Entity]) -> RecordT:
        """Return the record with other entities."""
        return replace(record, entities=tuple(annotations))

    def from_row(self, row: dict[str, Any]) -> Entity:
        """Return the annotation of a JSON row."""
        return Entity(Span(**row["span"]), row["label"], score=row["score"])

    def labels(self, examples: Iterable[Example]) -> tuple[str, ...]:
        """Return the entity types, sorted."""
        return tuple(sorted({entity.label for example in examples for entity in example.entities}))

    def has_gold(self, example: Example) -> bool:
        """Return True if the example has an entity."""
        return bool(example.entities)

    def without_labels(self, example: Example) -> Example:
        """Return the example without entities, and without relations, which would name some of them."""
        return replace(example, entities=(), relations=())

    def units(self, examples: Iterable[Example]) -> Iterator[Example]:
        """Yield the examples as they are."""
        yield from examples
