"""Reversed pairs, for corpora that state only one direction of each pair."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from cotpd.core.errors import UsageError
from cotpd.core.records import Example, Relation, Span

logger = logging.getLogger(__name__)

_Pair = tuple[Span, Span]


def add_reversed_pairs(
    train: Sequence[Example], reverse_labels: Mapping[str, str], known_labels: Sequence[str]
) -> tuple[Example, ...]:
    """Add the reverse of each stated pair to the training examples.

    A pair is not reversed if the corpus already states the reverse, in any example with the same words (MNRE has one
    example per pair).

    Args:
        train: Training examples.
        reverse_labels: The label of the reversed pair for each label to reverse. Other pairs are not reversed.
        known_labels: Every relation label of the corpus.

    Raises:
        UsageError: If ``reverse_labels`` has a label that the corpus does not have.
    """
    if not reverse_labels:
        return tuple(train)
    if unknown := sorted({*reverse_labels, *reverse_labels.values()} - set(known_labels)):
        raise UsageError(
            f"training_set.reversed_pairs: the corpus has no relation {', '.join(unknown)}; "
            f"choose from {', '.join(known_labels)}"
        )
    stated: defaultdict[tuple[str, ...], set[_Pair]] = defaultdict(set)
    for example in train:
        stated[example.words].update((relation.head, relation.tail) for relation in example.relations)
    counts: Counter[str] = Counter()
    examples = tuple(_add_reverse(example, stated[example.words], reverse_labels, counts) for example in train)
    summary = ", ".join(f"{number:,} {outcome}" for outcome, number in sorted((+counts).items()))
    logger.info("reversed pairs: %s", summary or "none")
    return examples


def _add_reverse(
    example: Example, stated: set[_Pair], reverse_labels: Mapping[str, str], counts: Counter[str]
) -> Example:
    candidates = [pair for pair in example.relations if pair.label in reverse_labels]
    added = [
        Relation(pair.tail, pair.head, reverse_labels[pair.label])
        for pair in candidates
        if (pair.tail, pair.head) not in stated
    ]
    counts.update(f"added as {pair.label}" for pair in added)
    counts["already stated"] += len(candidates) - len(added)
    return replace(example, relations=(*example.relations, *added))
