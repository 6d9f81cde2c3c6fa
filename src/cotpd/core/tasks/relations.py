"""Relations between marked spans as annotations of examples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from cotpd.core.pairs import expand_pairs, relation_labels
from cotpd.core.records import NO_RELATION, Example, Prediction, Relation, Span
from cotpd.core.tasks.annotations import RecordT


class RelationAnnotations:
    """A unit is one ordered pair, whose head and tail are marked; `NO_RELATION` is the first label."""

    key: ClassVar[str] = "relations"
    span_names: ClassVar[tuple[str, ...]] = ("head", "tail")
    markers: ClassVar[tuple[str, ...]] = ("[h]", "[/h]", "[t]", "[/t]")

    def of(self, record: Example | Prediction) -> tuple[Relation, ...]:
        """Return the relations of a record, unrelated pairs included."""
        return record.relations

    def replaced(self, record: RecordT, annotations: Sequence[Relation]) -> RecordT:
        """Return the record with other relations."""
        return replace(record, relations=tuple(annotations))

    def from_row(self, row: dict[str, Any]) -> Relation:
        """Return the annotation of a JSON row."""
        return Relation(Span(**row["head"]), Span(**row["tail"]), row["label"], row["score"])

    def labels(self, examples: Iterable[Example]) -> tuple[str, ...]:
        """Return the relation labels, `NO_RELATION` first and the others sorted."""
        return relation_labels(examples)

    def has_gold(self, example: Example) -> bool:
        """Return True if the example states a pair that holds a relation."""
        return any(relation.label != NO_RELATION for relation in example.relations)

    def without_labels(self, example: Example) -> Example:
        """Return the example with its pairs still marked and labelled `NO_RELATION`."""
        return replace(example, relations=tuple(replace(pair, label=NO_RELATION) for pair in example.relations))

    def units(self, examples: Iterable[Example]) -> Iterator[Example]:
        """Yield every pair of every example, the unrelated pairs of its entities included."""
        return expand_pairs(examples)
