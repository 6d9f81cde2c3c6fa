"""The pairs of a post that may be related: what is classified where nobody marked a pair."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from itertools import accumulate

from cotpd.core.pairs import REACH, num_pairs, pairs
from cotpd.core.records import NO_RELATION, Example, Relation, Span
from cotpd.views.view import ViewReader

logger = logging.getLogger(__name__)


def candidates(reader: ViewReader, words: Sequence[str], spans: Iterable[Span]) -> tuple[Relation, ...]:
    """Every ordered pair of the spans, in their order, as `NO_RELATION` until it is decoded.

    Left out: spans that overlap, that lie more than `REACH` words apart, or that the encoder cannot read together. Long
    texts take linear time.
    """
    pieces = [0, *accumulate(len(word) for word in reader.pieces.of(words))]
    ordered = sorted(set(spans))
    found = []
    for number, first in enumerate(ordered):
        for second in ordered[number + 1 :]:
            if second.start - first.end > REACH:
                break
            if first.end <= second.start and pieces[second.end] - pieces[first.start] <= reader.max_pair_pieces:
                found += [(first, second), (second, first)]
    return tuple(Relation(head, tail, NO_RELATION) for head, tail in sorted(found))


def readable_pairs(reader: ViewReader, examples: Sequence[Example]) -> list[tuple[Relation, ...]]:
    """`pairs` of each post, without the unstated ones that the encoder cannot read together.

    How many pairs were left out, those beyond `REACH` among them, is logged.
    """
    found = []
    for post in examples:
        unstated = pairs(post)[len(post.relations) :]
        fitting = (pair for pair in unstated if fits(reader, post.words, pair.head, pair.tail))
        found.append((*post.relations, *fitting))
    if left_out := sum(map(num_pairs, examples)) - sum(map(len, found)):
        logger.warning("%d pairs of entities lie too far apart and are left out", left_out)
    return found


def fits(reader: ViewReader, words: Sequence[str], head: Span, tail: Span) -> bool:
    """Whether the encoder can read two spans together, with the words between them."""
    between = words[min(head.start, tail.start) : max(head.end, tail.end)]
    return sum(map(len, reader.pieces.of(between))) <= reader.max_pair_pieces
