"""Candidate pairs: pairs of spans that are classified although they are not marked as pairs."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from itertools import accumulate

from cotpd.core.pairs import REACH, num_pairs, pairs
from cotpd.core.records import NO_RELATION, Example, Relation, Span
from cotpd.views.view import ViewReader

logger = logging.getLogger(__name__)


def candidate_pairs(reader: ViewReader, words: Sequence[str], spans: Iterable[Span]) -> tuple[Relation, ...]:
    """Return every ordered pair of spans that can be read together, sorted, with the label `NO_RELATION`.

    Pairs that overlap, that are more than `REACH` words apart, or that do not fit the encoder together are omitted.
    Takes linear time in the length of the text.
    """
    pieces = [0, *accumulate(len(word) for word in reader.pieces.of(words))]
    ordered, max_pieces = sorted(set(spans)), reader.max_marked_pieces(2)
    candidates = []
    for number, first in enumerate(ordered):
        for second in ordered[number + 1 :]:
            if second.start - first.end > REACH:
                break
            if first.end <= second.start and pieces[second.end] - pieces[first.start] <= max_pieces:
                candidates += [(first, second), (second, first)]
    return tuple(Relation(head, tail, NO_RELATION) for head, tail in sorted(candidates))


def readable_pairs(reader: ViewReader, examples: Sequence[Example]) -> list[tuple[Relation, ...]]:
    """Return the `pairs` of each example, without unstated pairs that do not fit the encoder together.

    Log a warning with the number of omitted pairs, including those more than `REACH` words apart.
    """
    readable = []
    for example in examples:
        unstated = pairs(example)[len(example.relations) :]
        fitting = (pair for pair in unstated if fits_together(reader, example.words, pair.head, pair.tail))
        readable.append((*example.relations, *fitting))
    if num_omitted := sum(map(num_pairs, examples)) - sum(map(len, readable)):
        logger.warning("omitted %d pairs of entities that are too far apart to be read together", num_omitted)
    return readable


def fits_together(reader: ViewReader, words: Sequence[str], head: Span, tail: Span) -> bool:
    """Return True if the encoder can read two spans together, with the words between them."""
    between = words[min(head.start, tail.start) : max(head.end, tail.end)]
    return sum(map(len, reader.pieces.of(between))) <= reader.max_marked_pieces(2)
