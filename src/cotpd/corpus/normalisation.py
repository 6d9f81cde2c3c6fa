"""Uniform spelling of entity types, hashtags and user names, for runs across corpora."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import accumulate

from cotpd.core.records import Example, Span
from cotpd.core.tasks import ANNOTATIONS


def normalise(example: Example, label_map: Mapping[str, str] | None = None) -> Example:
    """Rename entity types and join ``# tag`` and ``@ name`` into one word each. Spans are adjusted.

    A ``#`` or ``@`` is joined to the next word, as in Twitter-2015 (``#tag``, ``@name``), if that word starts with a
    letter or digit and no entity or relation argument ends between them. Names that Twitter-2015 splits at ``_`` stay
    split, since their end is unknown.

    Args:
        example: The example.
        label_map: New names of entity types.
    """
    names = label_map or {}
    ends = {span.end for annotation in example.annotations for span in annotation.spans}
    joins = [number not in ends and _joins_previous(example, number) for number in range(len(example.words))]
    positions = list(accumulate((not join for join in joins), initial=-1))[1:]
    words = [""] * (positions[-1] + 1 if positions else 0)
    for position, word in zip(positions, example.words, strict=True):
        words[position] += word

    def move(span: Span) -> Span:
        return Span(positions[span.start], positions[span.end - 1] + 1)

    entities = tuple(replace(entity, label=names.get(entity.label, entity.label)) for entity in example.entities)
    normalised = replace(example, words=tuple(words), entities=entities)
    for task in ANNOTATIONS.values():
        normalised = task.replaced(normalised, [annotation.moved(move) for annotation in task.of(normalised)])
    return normalised


def _joins_previous(example: Example, number: int) -> bool:
    """Return True if a word belongs to the ``#`` or ``@`` before it."""
    return number > 0 and example.words[number - 1] in ("#", "@") and example.words[number][:1].isalnum()
