"""Folds of a training set for cross-fitting, in which no teacher is trained on the examples that it teaches."""

from __future__ import annotations

from collections.abc import Iterable

from cotpd.core.files import hash_text
from cotpd.core.records import Example


def in_fold(example: Example, fold: str) -> bool:
    """Return True if an example belongs to a fold.

    Folds are assigned by the hash of the image id, or of the post id if there is no image. Thus all examples of an
    image, and all windows, pairs, variants and copies of a post, belong to the same fold.

    Args:
        example: The example.
        fold: ``K/N``: fold K (from 1) of N folds of about the same size.
    """
    number, num_folds = map(int, fold.split("/"))
    return int(hash_text(example.image_id or example.post_id), 16) % num_folds == number - 1


def without_fold(examples: Iterable[Example], fold: str | None) -> tuple[Example, ...]:
    """Return the examples outside a fold, or all of them for None."""
    return tuple(example for example in examples if fold is None or not in_fold(example, fold))
