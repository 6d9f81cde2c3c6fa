"""Counts resampled over posts, vectorised: posts with the same counts are exchangeable, so they are drawn as one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cotpd.core.errors import UsageError

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

LEVEL = 0.95
"""The level of every interval."""

_BLOCK = 1_000
"""Resamples made at once: a bound on memory."""


class Interval(NamedTuple):
    """A percentile interval at `LEVEL`."""

    low: float
    high: float


def by_post(counts: Counts, posts: Sequence[int]) -> Counts:
    """Rows of examples ``[examples, columns]`` summed to ``[posts, columns]``; ``posts``: of each row the number of its
    post, from 0, or nothing where each row is a post.
    """
    if not posts:
        return counts
    sums = np.zeros((max(posts) + 1, counts.shape[1]), dtype=np.int64)
    np.add.at(sums, np.asarray(posts), counts)
    return sums


def bootstrapped_sums(counts: Counts, resamples: int, generator: np.random.Generator) -> Floats:
    """Sums over as many posts as there are, drawn with replacement: ``[posts, columns]`` to ``[resamples, columns]``.

    How often each post is drawn is multinomial; so is how often each distinct row is, with its share of the posts.
    """
    distinct, sizes = np.unique(counts, axis=0, return_counts=True)
    shares = sizes / sizes.sum()
    blocks = [generator.multinomial(len(counts), shares, size=size) @ distinct for size in _blocks(resamples)]
    return np.concatenate(blocks).astype(np.float64)


def swapped_sums(
    first: Counts, second: Counts, resamples: int, generator: np.random.Generator
) -> tuple[Floats, Floats]:
    """Sums of two systems after each post's counts changed sides with probability one half.

    Both ``[posts, columns]``; returns two of ``[resamples, columns]``.
    """
    distinct, sizes = np.unique(second - first, axis=0, return_counts=True)
    draws = [generator.binomial(sizes, 0.5, size=(size, len(sizes))) @ distinct for size in _blocks(resamples)]
    moved = np.concatenate(draws).astype(np.float64)
    return first.sum(0) + moved, second.sum(0) - moved


def f1(correct: Floats | Counts, predicted: Floats | Counts, gold: Floats | Counts) -> Floats:
    """``2 correct / (predicted + gold)``, elementwise; 0 where nothing is predicted and nothing is gold."""
    total = np.asarray(predicted + gold, dtype=np.float64)
    return np.divide(2.0 * correct, total, out=np.zeros_like(total), where=total > 0)


def percentile_interval(values: Floats) -> Interval:
    """The middle 95 % of resampled values."""
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))


def _blocks(resamples: int) -> Iterator[int]:
    if resamples < 1:
        raise UsageError(f"resamples must be 1 or more, not {resamples}")
    for start in range(0, resamples, _BLOCK):
        yield min(_BLOCK, resamples - start)
