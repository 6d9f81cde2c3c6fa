"""Pairs read in the other direction, for corpora that state one direction of a pair only."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from cotpd.core.errors import UsageError
from cotpd.core.records import Example, Relation, Span

logger = logging.getLogger(__name__)

_Pair = tuple[Span, Span]


def with_reversed_pairs(
    train: Sequence[Example], labels: Mapping[str, str], known: Sequence[str]
) -> tuple[Example, ...]:
    """The posts with the reverse of each stated pair whose label ``labels`` names, under the label given there.

    A pair whose reverse is stated, on whichever line of the same words (MNRE has a line for each pair), stays as it is.
    Raises `UsageError` for a label that is not ``known``: a typing error would change nothing, and in silence.
    """
    if not labels:
        return tuple(train)
    if unknown := sorted({*labels, *labels.values()} - set(known)):
        raise UsageError(f"training_set.reversed_pairs: no post has {', '.join(unknown)}; there are {', '.join(known)}")
    stated: defaultdict[tuple[str, ...], set[_Pair]] = defaultdict(set)
    for post in train:
        stated[post.words].update((relation.head, relation.tail) for relation in post.relations)
    counts: Counter[str] = Counter()
    posts = tuple(_with_reverse(post, stated[post.words], labels, counts) for post in train)
    listed = ", ".join(f"{number:,} {what}" for what, number in sorted((+counts).items()))
    logger.info("pairs read in reverse: %s", listed or "none")
    return posts


def _with_reverse(post: Example, stated: set[_Pair], labels: Mapping[str, str], counts: Counter[str]) -> Example:
    named = [pair for pair in post.relations if pair.label in labels]
    reverse = [Relation(p.tail, p.head, labels[p.label]) for p in named if (p.tail, p.head) not in stated]
    counts.update(f"as {pair.label}" for pair in reverse)
    counts["stated already"] += len(named) - len(reverse)
    return replace(post, relations=(*post.relations, *reverse))
