"""Folds of a corpus: a target that teaches a post should not have learnt that post's labels (cross-fitting)."""

from __future__ import annotations

from collections.abc import Iterable

from cotpd.core.files import hash_text
from cotpd.core.records import Example


def in_fold(example: Example, fold: str) -> bool:
    """Whether a post lies in ``fold``, written ``K/N``: number K, from 1, of N of like size.

    Drawn by the hash of the image id (of the post's id, without one), so that posts of one image lie in one fold, and
    the windows, pairs, variants and repetitions of a post with it.
    """
    number, num_folds = map(int, fold.split("/"))
    return int(hash_text(example.image_id or example.post_id), 16) % num_folds == number - 1


def without_fold(examples: Iterable[Example], fold: str | None) -> tuple[Example, ...]:
    """The posts outside a fold; all of them for None."""
    return tuple(example for example in examples if fold is None or not in_fold(example, fold))
