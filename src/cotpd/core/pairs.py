"""Posts of several relations as examples of one pair each, the unrelated pairs included."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from cotpd.core.records import NO_RELATION, Example, Relation, Span
from cotpd.core.units import split_units

_Post = tuple[tuple[str, ...], str | None]

REACH = 64
"""The most words between two entities that nobody marked as a pair: more than a post has."""


def pairs(example: Example, *, reach: int = REACH) -> tuple[Relation, ...]:
    """The relations of a post, then every other ordered pair of its entities up to ``reach`` words apart, unrelated.

    An entity is not paired with itself. Corpora that mark one pair a line (MNRE) have no entities: that pair is all.
    """
    stated = {(relation.head, relation.tail) for relation in example.relations}
    others = _near((entity.span for entity in example.entities), reach)
    unrelated = (Relation(head, tail, NO_RELATION) for head, tail in others if (head, tail) not in stated)
    return (*example.relations, *unrelated)


def num_pairs(example: Example) -> int:
    """How many `pairs` a post has, however far apart; they are counted and not made, for they grow with the square."""
    stated = {(relation.head, relation.tail) for relation in example.relations}
    spans = {entity.span for entity in example.entities}
    own = sum(head in spans and tail in spans and head != tail for head, tail in stated)
    return len(example.relations) + len(spans) * (len(spans) - 1) - own


def one_pair_each(examples: Iterable[Example]) -> Iterator[Example]:
    """Yield each pair of each example as an example of its own with that single relation."""
    every = tuple(examples)
    taken = {example.id for example in every}
    for example in every:
        parts = (replace(example, relations=(pair,)) for pair in pairs(example))
        yield from split_units(example, parts, taken=taken)


def grouped(examples: Iterable[Example]) -> tuple[Example, ...]:
    """Each post once, under its first id: those on several lines, a pair each (MNRE), with all that these state."""
    posts: dict[_Post, Example] = {}
    for example in examples:
        first = posts.setdefault(_post(example), example)
        if first is not example:
            entities = tuple(dict.fromkeys((*first.entities, *example.entities)))
            relations = tuple(dict.fromkeys((*first.relations, *example.relations)))
            posts[_post(first)] = replace(first, entities=entities, relations=relations)
    return tuple(posts.values())


def post_numbers(examples: Iterable[Example]) -> tuple[int, ...]:
    """The number of the post that each example is of, from 0; examples of one post are told as in `grouped`."""
    numbers: dict[_Post, int] = {}
    return tuple(numbers.setdefault(_post(example), len(numbers)) for example in examples)


def relation_labels(examples: Iterable[Example]) -> tuple[str, ...]:
    """The labels of relations, `NO_RELATION` first and the others sorted."""
    labels = {relation.label for example in examples for relation in example.relations}
    return (NO_RELATION, *sorted(labels - {NO_RELATION}))


def _near(spans: Iterable[Span], reach: int) -> list[tuple[Span, Span]]:
    """Every ordered pair of different spans up to ``reach`` words apart, in order; those far apart cost nothing."""
    places = {span: place for place, span in enumerate(dict.fromkeys(spans))}
    ordered = sorted(places)
    near: list[tuple[Span, Span]] = []
    for number, first in enumerate(ordered):
        for second in ordered[number + 1 :]:
            if second.start - first.end > reach:
                break
            near += [(first, second), (second, first)]
    return sorted(near, key=lambda pair: (places[pair[0]], places[pair[1]]))


def _post(example: Example) -> _Post:
    return example.words, example.image_id
