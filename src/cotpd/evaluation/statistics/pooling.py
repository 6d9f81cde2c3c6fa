"""Pooling of scores over several test sets, because a small test set only shows large differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

import numpy as np

from cotpd.core.errors import DataError, UsageError
from cotpd.evaluation.scores import Scores
from cotpd.evaluation.statistics.resampling import Counts


def pool_scores(parts: Sequence[Scores]) -> Scores:
    """Combine the scores of several test sets into the scores of all their posts.

    A single part is returned unchanged. Otherwise the id of an example in part n becomes ``n:id``, so that equal ids
    of different parts stay distinct.

    Raises:
        UsageError: If there are no parts.
        DataError: If the parts differ in task, matching rule or mode.
    """
    if not parts:
        raise UsageError("pooling needs the scores of at least one test set, got none")
    first, *others = parts
    if not others:
        return first
    if any((part.task, part.rule, part.mode) != (first.task, first.rule, first.mode) for part in parts):
        raise DataError(f"cannot pool scores that were counted differently: {'; '.join(p.heading for p in parts)}")
    types = tuple(sorted({name for part in parts for name in part.types}))
    return replace(
        first,
        ids=tuple(f"{number}:{example}" for number, part in enumerate(parts) for example in part.ids),
        types=types,
        correct=np.concatenate([_expand_columns(part.correct, part.types, types) for part in parts]),
        predicted=np.concatenate([_expand_columns(part.predicted, part.types, types) for part in parts]),
        gold=np.concatenate([_expand_columns(part.gold, part.types, types) for part in parts]),
        posts=_renumber_posts(parts) if any(part.posts for part in parts) else (),
    )


def _renumber_posts(parts: Sequence[Scores]) -> tuple[int, ...]:
    offsets = accumulate((part.num_posts for part in parts), initial=0)
    return tuple(
        offset + post
        for part, offset in zip(parts, offsets, strict=False)
        for post in part.posts or range(len(part.ids))
    )


def _expand_columns(counts: Counts, own_types: Sequence[str], types: Sequence[str]) -> Counts:
    """Move the columns of ``own_types`` to their places among ``types``; the other columns are 0."""
    table = np.zeros((len(counts), len(types)), dtype=np.int64)
    table[:, [types.index(name) for name in own_types]] = counts
    return table
