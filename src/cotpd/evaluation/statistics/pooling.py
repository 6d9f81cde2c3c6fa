"""Scores of several sets of posts as those of one: a small set alone resolves little."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

import numpy as np

from cotpd.core.errors import DataError, UsageError
from cotpd.evaluation.scores import Scores
from cotpd.evaluation.statistics.resampling import Counts


def pooled(parts: Sequence[Scores]) -> Scores:
    """All posts of the parts together; of several, an id of part n becomes ``n:id``, so that equal ids stay apart.

    Raises `UsageError` without parts, `DataError` unless all were scored under one rule and mode.
    """
    if not parts:
        raise UsageError("pooling needs the scores of one set of posts or more")
    first, *others = parts
    if not others:
        return first
    if any((part.task, part.rule, part.mode) != (first.task, first.rule, first.mode) for part in parts):
        raise DataError(f"scored differently, so not to be pooled: {', '.join(part.heading for part in parts)}")
    types = tuple(sorted({name for part in parts for name in part.types}))
    return replace(
        first,
        ids=tuple(f"{number}:{post}" for number, part in enumerate(parts) for post in part.ids),
        types=types,
        correct=np.concatenate([_columns(part.correct, part.types, types) for part in parts]),
        predicted=np.concatenate([_columns(part.predicted, part.types, types) for part in parts]),
        gold=np.concatenate([_columns(part.gold, part.types, types) for part in parts]),
        posts=_posts(parts) if any(part.posts for part in parts) else (),
    )


def _posts(parts: Sequence[Scores]) -> tuple[int, ...]:
    befores = accumulate((part.num_posts for part in parts), initial=0)
    return tuple(
        before + post
        for part, before in zip(parts, befores, strict=False)
        for post in part.posts or range(len(part.ids))
    )


def _columns(counts: Counts, own: Sequence[str], types: Sequence[str]) -> Counts:
    table = np.zeros((len(counts), len(types)), dtype=np.int64)
    table[:, [types.index(name) for name in own]] = counts
    return table
