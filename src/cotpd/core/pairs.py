"""Entity pairs of an example, related or not, as units for relation extraction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from cotpd.core.records import NO_RELATION, Example, Relation, Span
from cotpd.core.units import split_units

_PostKey = tuple[tuple[str, ...], str | None]

REACH = 64
"""The maximum number of words between two entities that form an unrelated pair. Posts are usually shorter."""


def pairs(example: Example, *, reach: int = REACH) -> tuple[Relation, ...]:
    """Return the gold relations of an example, followed by its unrelated entity pairs.

    Every ordered pair of different entities without a gold relation becomes a `NO_RELATION`. Corpora such as MNRE mark
    one pair per line and no entities; there the marked pair is the only one.

    Args:
        example: The example.
        reach: The maximum number of words between the two entities of an unrelated pair.
    """
    related = {(relation.head, relation.tail) for relation in example.relations}
    candidates = _nearby_pairs((entity.span for entity in example.entities), reach)
    unrelated = (Relation(head, tail, NO_RELATION) for head, tail in candidates if (head, tail) not in related)
    return (*example.relations, *unrelated)


def num_pairs(example: Example) -> int:
    """Count the `pairs` of an example at any distance, without creating them (their number grows quadratically)."""
    related = {(relation.head, relation.tail) for relation in example.relations}
    spans = {entity.span for entity in example.entities}
    num_related = sum(head in spans and tail in spans and head != tail for head, tail in related)
    return len(example.relations) + len(spans) * (len(spans) - 1) - num_related


def expand_pairs(examples: Iterable[Example]) -> Iterator[Example]:
    """Yield one example per pair, each with a single relation and an id that no other example has."""
    every = tuple(examples)
    taken = {example.id for example in every}
    for example in every:
        parts = (replace(example, relations=(pair,)) for pair in pairs(example))
        yield from split_units(example, parts, taken=taken)


def group_by_post(examples: Iterable[Example]) -> tuple[Example, ...]:
    """Merge examples with the same words and image into one, as needed for corpora with one pair per line (MNRE).

    A merged example has the first id and all distinct entities and relations.
    """
    posts: dict[_PostKey, list[Example]] = {}
    for example in examples:
        posts.setdefault(_post_key(example), []).append(example)
    return tuple(map(_merged, posts.values()))


def post_numbers(examples: Iterable[Example]) -> tuple[int, ...]:
    """Return a number from 0 per example; examples with the same words and image have the same number."""
    numbers: dict[_PostKey, int] = {}
    return tuple(numbers.setdefault(_post_key(example), len(numbers)) for example in examples)


def relation_labels(examples: Iterable[Example]) -> tuple[str, ...]:
    """Return the relation labels of the examples, `NO_RELATION` first and the others sorted."""
    labels = {relation.label for example in examples for relation in example.relations}
    return (NO_RELATION, *sorted(labels - {NO_RELATION}))


def _nearby_pairs(spans: Iterable[Span], reach: int) -> list[tuple[Span, Span]]:
    """Return the ordered pairs of different spans within ``reach`` words. The time is linear in their number."""
    positions = {span: position for position, span in enumerate(dict.fromkeys(spans))}
    ordered = sorted(positions)
    nearby: list[tuple[Span, Span]] = []
    for number, first in enumerate(ordered):
        for second in ordered[number + 1 :]:
            if second.start - first.end > reach:
                break
            nearby += [(first, second), (second, first)]
    return sorted(nearby, key=lambda pair: (positions[pair[0]], positions[pair[1]]))


def _merged(examples: Sequence[Example]) -> Example:
    if len(examples) == 1:
        return examples[0]
    entities = dict.fromkeys(entity for example in examples for entity in example.entities)
    relations = dict.fromkeys(relation for example in examples for relation in example.relations)
    return replace(examples[0], entities=tuple(entities), relations=tuple(relations))


def _post_key(example: Example) -> _PostKey:
    return example.words, example.image_id
