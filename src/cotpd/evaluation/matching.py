"""The matching rules: when a predicted annotation is correct, counted one example at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, Protocol

from cotpd.core.config import Task
from cotpd.core.records import NO_RELATION, Entity, Example, Prediction, Span

Mode = Literal["conlleval", "strict"]
"""``conlleval``: entities that begin with an ``I-`` tag count, as in conlleval and in seqeval's default mode.
``strict``: they do not, neither gold nor predicted ones, as in seqeval's strict IOB2 mode."""

DEFAULT_MODE: Mode = "conlleval"
MatchKey = tuple[str, Hashable]
"""The type and the identity of an annotation. Annotations with equal keys match."""

UNSEEN = "unseen"
"""The name under which `SeenEntities` counts entities that are in no group."""


class ExampleCounts(NamedTuple):
    """The counts of one example by type; repeated annotations count repeatedly."""

    correct: Counter[str]
    predicted: Counter[str]
    gold: Counter[str]


class MatchingRule(Protocol):
    """Decides what is correct in one example.

    Attributes:
        task: The task that the rule scores.
        name: The name of the rule in tables and JSON.
    """

    task: ClassVar[Task]
    name: ClassVar[str]

    def count(self, predicted: Prediction, gold: Example, mode: Mode) -> ExampleCounts:
        """Count one example. Each gold annotation makes at most one prediction correct."""


class ExactEntities:
    """The primary rule of entities: the same words and the same type."""

    task: ClassVar[Task] = "entities"
    name: ClassVar[str] = "exact"

    def count(self, predicted: Prediction, gold: Example, mode: Mode) -> ExampleCounts:
        """Count one example by type."""
        return count_matches(_typed(predicted.entities, mode), _typed(gold.entities, mode))


class Boundaries:
    """The same words, regardless of the type."""

    task: ClassVar[Task] = "entities"
    name: ClassVar[str] = "boundaries"

    def count(self, predicted: Prediction, gold: Example, mode: Mode) -> ExampleCounts:
        """Count one example, with all types as one."""
        return count_matches(_untyped(predicted.entities, mode), _untyped(gold.entities, mode))


class Overlap:
    """The same type and at least one common word: nervaluate's ``ent_type`` with an optimal assignment."""

    task: ClassVar[Task] = "entities"
    name: ClassVar[str] = "overlap"

    def count(self, predicted: Prediction, gold: Example, mode: Mode) -> ExampleCounts:
        """Count one example by type."""
        sides = _in_mode(predicted.entities, mode), _in_mode(gold.entities, mode)
        by_type = ExampleCounts(Counter(), *(Counter(entity.label for entity in side) for side in sides))
        for label in by_type.gold:
            spans = (sorted(entity.span for entity in side if entity.label == label) for side in sides)
            by_type.correct[label] = _num_overlapping(*spans)
        return by_type


@dataclass(frozen=True, slots=True)
class SeenEntities:
    """The primary rule, grouped by whether an entity with the same words, of any type, occurs elsewhere.

    Attributes:
        known: Groups of surfaces (see `surfaces_of`) by name. An entity counts under the name of the first group that
            contains its surface, otherwise as `UNSEEN`.
    """

    task: ClassVar[Task] = "entities"
    name: ClassVar[str] = "exact, by training surface"
    known: Mapping[str, frozenset[str]]

    def count(self, predicted: Prediction, gold: Example, mode: Mode) -> ExampleCounts:
        """Count one example by the names of ``known`` and `UNSEEN`."""
        return count_matches(self._keys(predicted, mode), self._keys(gold, mode))

    def _keys(self, record: Prediction | Example, mode: Mode) -> Counter[MatchKey]:
        return Counter((self._group(record, e), (e.label, e.span)) for e in _in_mode(record.entities, mode))

    def _group(self, record: Prediction | Example, entity: Entity) -> str:
        surface = _surface(record.words, entity.span)
        return next((name for name, surfaces in self.known.items() if surface in surfaces), UNSEEN)


class ExactRelations:
    """The primary rule of relations: the same head, tail and label, in every mode.

    Pairs without a relation (`NO_RELATION`) are not counted.
    """

    task: ClassVar[Task] = "relations"
    name: ClassVar[str] = "exact"

    def count(self, predicted: Prediction, gold: Example, mode: Mode) -> ExampleCounts:
        """Count one example by relation."""
        return count_matches(_related(predicted), _related(gold))


def count_matches(predicted: Counter[MatchKey], gold: Counter[MatchKey]) -> ExampleCounts:
    """Count the keys of one example by type."""
    return ExampleCounts(_by_type(predicted & gold), _by_type(predicted), _by_type(gold))


def surfaces_of(examples: Iterable[Example]) -> frozenset[str]:
    """Return the words of every entity of the examples, joined by spaces and case-folded."""
    return frozenset(_surface(example.words, entity.span) for example in examples for entity in example.entities)


def _by_type(keys: Counter[MatchKey]) -> Counter[str]:
    return Counter(label for label, _ in keys.elements())


def _typed(entities: Iterable[Entity], mode: Mode) -> Counter[MatchKey]:
    return Counter((entity.label, entity.span) for entity in _in_mode(entities, mode))


def _untyped(entities: Iterable[Entity], mode: Mode) -> Counter[MatchKey]:
    return Counter(("any", entity.span) for entity in _in_mode(entities, mode))


def _related(record: Prediction | Example) -> Counter[MatchKey]:
    return Counter((r.label, (r.head, r.tail)) for r in record.relations if r.label != NO_RELATION)


def _in_mode(entities: Iterable[Entity], mode: Mode) -> list[Entity]:
    return [entity for entity in entities if mode == "conlleval" or not entity.orphan]


def _surface(words: tuple[str, ...], span: Span) -> str:
    return " ".join(words[span.start : span.end]).casefold()


def _num_overlapping(predicted: list[Span], gold: list[Span]) -> int:
    """Return the largest number of overlapping pairs, with each span in at most one pair.

    Both lists are sorted, and no span overlaps another one of its own list.
    """
    number = first = second = 0
    while first < len(predicted) and second < len(gold):
        before = predicted[first].end <= gold[second].start
        behind = gold[second].end <= predicted[first].start
        number += not (before or behind)
        first += not behind
        second += not before
    return number
