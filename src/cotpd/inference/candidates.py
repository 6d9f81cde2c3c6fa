"""The pairs of a post that may be related: what is classified where nobody marked a pair."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate

from cotpd.core.records import NO_RELATION, Relation, Span
from cotpd.views.view import ViewReader

REACH = 64
"""The most words between two entities of a candidate: more than a post has, and long texts take linear time."""


def candidates(reader: ViewReader, words: Sequence[str], spans: Iterable[Span]) -> tuple[Relation, ...]:
    """Every ordered pair of the spans, in their order, as `NO_RELATION` until it is decoded.

    Left out: spans that overlap, that lie more than `REACH` words apart, or that the encoder cannot read together.
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


def fits(reader: ViewReader, words: Sequence[str], head: Span, tail: Span) -> bool:
    """Whether the encoder can read two spans together, with the words between them."""
    between = words[min(head.start, tail.start) : max(head.end, tail.end)]
    return sum(map(len, reader.pieces.of(between))) <= reader.max_pair_pieces
