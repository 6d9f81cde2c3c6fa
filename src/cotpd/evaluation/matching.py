"""When a predicted entity or relation is correct: one class for each rule, counting one post at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, Protocol

from cotpd.core.records import NO_RELATION, Entity, Example, Prediction, Span

Mode = Literal["conlleval", "strict"]
"""``conlleval``: entities that began with an ``I-`` tag count, as conlleval and seqeval's default have it; ``strict``:
they are left out, in gold and predicted alike, as seqeval's strict IOB2 has it."""

DEFAULT_MODE: Mode = "conlleval"
Task = Literal["entities", "relations"]
_Key = tuple[str, Hashable]

UNSEEN = "unseen"
"""What `SeenEntities` calls an entity that was none before."""


class PostCounts(NamedTuple):
    """What one post holds of each type: correct, predicted and gold, each counted as often as it occurs."""

    correct: Counter[str]
    predicted: Counter[str]
    gold: Counter[str]


class MatchingRule(Protocol):
    """Decides what is correct in one post. ``name`` stands in every table and JSON object."""

    task: ClassVar[Task]
    name: ClassVar[str]

    def count(self, predicted: Prediction, gold: Example, mode: Mode) -> PostCounts:
        """Count one post. A gold entity or relation makes at most one prediction correct."""


class ExactEntities:
    """The primary rule: the same words and the same type."""

    task: ClassVar[Task] = "entities"
    name: ClassVar[str] = "exact"

    def count(self, predicted: Prediction, gold: Example, mode: Mode) -> PostCounts:
        """Count one post by type."""
        return _matched(_exact(predicted.entities, mode), _exact(gold.entities, mode))


class Boundaries:
    """The same words, whatever the type: how well entities are found, apart from how well they are told apart."""

    task: ClassVar[Task] = "entities"
    name: ClassVar[str] = "boundaries"

    def count(self, predicted: Prediction, gold: Example, mode: Mode) -> PostCounts:
        """Count one post, all types as one."""
        return _matched(_untyped(predicted.entities, mode), _untyped(gold.entities, mode))


class Overlap:
    """The same type and at least one word in common: nervaluate's ``ent_type``, but paired so that most match."""

    task: ClassVar[Task] = "entities"
    name: ClassVar[str] = "overlap"

    def count(self, predicted: Prediction, gold: Example, mode: Mode) -> PostCounts:
        """Count one post by type."""
        found, expected = _kept(predicted.entities, mode), _kept(gold.entities, mode)
        by_type = PostCounts(Counter(), Counter(e.label for e in found), Counter(e.label for e in expected))
        for label in by_type.gold:
            spans = (sorted(e.span for e in entities if e.label == label) for entities in (found, expected))
            by_type.correct[label] = _num_overlapping(*spans)
        return by_type


@dataclass(frozen=True, slots=True)
class SeenEntities:
    """The primary rule, told apart by where the words of an entity were an entity before, whatever its type.

    ``known``: what `surfaces_of` gives for examples, by the name under which an entity is counted, the first that has
    it; `UNSEEN` is one that none has.
    """

    task: ClassVar[Task] = "entities"
    name: ClassVar[str] = "exact, by training surface"
    known: Mapping[str, frozenset[str]]

    def count(self, predicted: Prediction, gold: Example, mode: Mode) -> PostCounts:
        """Count one post under the names of ``known``, or `UNSEEN`."""
        return _matched(self._keys(predicted, mode), self._keys(gold, mode))

    def _keys(self, post: Prediction | Example, mode: Mode) -> Counter[_Key]:
        return Counter((self._novelty(post, e), (e.label, e.span)) for e in _kept(post.entities, mode))

    def _novelty(self, post: Prediction | Example, entity: Entity) -> str:
        surface = _surface(post.words, entity.span)
        return next((name for name, surfaces in self.known.items() if surface in surfaces), UNSEEN)


class ExactRelations:
    """The same head, tail and label; pairs without a relation (`NO_RELATION`) are left out of every count.

    The mode changes nothing here: relations have no tags.
    """

    task: ClassVar[Task] = "relations"
    name: ClassVar[str] = "exact"

    def count(self, predicted: Prediction, gold: Example, mode: Mode) -> PostCounts:
        """Count one post by relation."""
        return _matched(_related(predicted), _related(gold))


def exact_rule(task: Task) -> MatchingRule:
    """The primary rule of a task."""
    return ExactRelations() if task == "relations" else ExactEntities()


def surfaces_of(examples: Iterable[Example]) -> frozenset[str]:
    """The words of every entity of the examples, joined by spaces and without case."""
    return frozenset(_surface(example.words, entity.span) for example in examples for entity in example.entities)


def _matched(predicted: Counter[_Key], gold: Counter[_Key]) -> PostCounts:
    return PostCounts(_by_type(predicted & gold), _by_type(predicted), _by_type(gold))


def _by_type(keys: Counter[_Key]) -> Counter[str]:
    return Counter(label for label, _ in keys.elements())


def _exact(entities: Iterable[Entity], mode: Mode) -> Counter[_Key]:
    return Counter((entity.label, entity.span) for entity in _kept(entities, mode))


def _untyped(entities: Iterable[Entity], mode: Mode) -> Counter[_Key]:
    return Counter(("any", entity.span) for entity in _kept(entities, mode))


def _related(post: Prediction | Example) -> Counter[_Key]:
    return Counter((r.label, (r.head, r.tail)) for r in post.relations if r.label != NO_RELATION)


def _kept(entities: Iterable[Entity], mode: Mode) -> list[Entity]:
    return [entity for entity in entities if mode == "conlleval" or not entity.orphan]


def _surface(words: tuple[str, ...], span: Span) -> str:
    return " ".join(words[span.start : span.end]).casefold()


def _num_overlapping(predicted: list[Span], gold: list[Span]) -> int:
    """The most pairs that share a word, each span in one pair; both lists sorted, neither with overlaps in itself."""
    number = first = second = 0
    while first < len(predicted) and second < len(gold):
        before = predicted[first].end <= gold[second].start
        behind = gold[second].end <= predicted[first].start
        number += not (before or behind)
        first += not behind
        second += not before
    return number
