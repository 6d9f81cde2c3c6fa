"""Resampling of counts over posts: the bootstrap and approximate randomisation.

Posts with equal counts are exchangeable. The functions therefore draw how often each distinct row of counts occurs,
rather than single posts, which is exact and much faster.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cotpd.core.errors import UsageError

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

CONFIDENCE_LEVEL = 0.95
"""Confidence level of every interval."""

_CHUNK_SIZE = 1_000
"""Maximum number of resamples drawn at once, which bounds memory."""


class Interval(NamedTuple):
    """A confidence interval at `CONFIDENCE_LEVEL`."""

    low: float
    high: float


def sum_by_post(counts: Counts, posts: Sequence[int]) -> Counts:
    """Sum the rows of examples that belong to the same post.

    Args:
        counts: ``[examples, columns]``.
        posts: Post number of each row, starting at 0. Empty if every row is a post of its own.

    Returns:
        ``[posts, columns]``.
    """
    if not posts:
        return counts
    sums = np.zeros((max(posts) + 1, counts.shape[1]), dtype=np.int64)
    np.add.at(sums, np.asarray(posts), counts)
    return sums


def bootstrap_sums(counts: Counts, resamples: int, generator: np.random.Generator) -> Floats:
    """Sum the counts of posts drawn with replacement (Efron and Tibshirani 1993).

    How often each distinct row is drawn follows a multinomial distribution.

    Args:
        counts: ``[posts, columns]``.
        resamples: Number of bootstrap samples, each of as many posts as there are.
        generator: Source of randomness.

    Returns:
        ``[resamples, columns]``.
    """
    distinct, sizes = np.unique(counts, axis=0, return_counts=True)
    shares = sizes / sizes.sum()
    chunks = [generator.multinomial(len(counts), shares, size=size) @ distinct for size in _chunk_sizes(resamples)]
    return np.concatenate(chunks).astype(np.float64)


def randomised_sums(
    first: Counts, second: Counts, resamples: int, generator: np.random.Generator
) -> tuple[Floats, Floats]:
    """Sum the counts of two systems after swapping their results on random posts (Noreen 1989).

    The two systems swap each post with probability one half.

    Args:
        first: ``[posts, columns]`` counts of the first system.
        second: ``[posts, columns]`` counts of the second system.
        resamples: Number of random assignments.
        generator: Source of randomness.

    Returns:
        The sums of both systems, each ``[resamples, columns]``.
    """
    distinct, sizes = np.unique(second - first, axis=0, return_counts=True)
    chunks = [generator.binomial(sizes, 0.5, size=(size, len(sizes))) @ distinct for size in _chunk_sizes(resamples)]
    moved = np.concatenate(chunks).astype(np.float64)
    return first.sum(0) + moved, second.sum(0) - moved


def f1(correct: Floats | Counts, predicted: Floats | Counts, gold: Floats | Counts) -> Floats:
    """Compute ``2 correct / (predicted + gold)`` elementwise; 0 if both ``predicted`` and ``gold`` are 0."""
    total = np.asarray(predicted + gold, dtype=np.float64)
    return np.divide(2.0 * correct, total, out=np.zeros_like(total), where=total > 0)


def percentile_interval(values: Floats) -> Interval:
    """Return the percentile interval of resampled values: their middle 95 %."""
    low, high = np.quantile(values, [(1 - CONFIDENCE_LEVEL) / 2, (1 + CONFIDENCE_LEVEL) / 2])
    return Interval(float(low), float(high))


def _chunk_sizes(resamples: int) -> Iterator[int]:
    if resamples < 1:
        raise UsageError(f"resamples must be 1 or more, got {resamples}")
    for start in range(0, resamples, _CHUNK_SIZE):
        yield min(_CHUNK_SIZE, resamples - start)
