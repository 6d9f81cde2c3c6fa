"""Batches of views: padded arrays, and an order of the posts that keeps padding small."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cotpd.views.view import View, ViewKind

_POOL = 32
"""Batches sorted together by length: enough to make padding small, few enough to keep the order random."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Views of one kind, padded on the right.

    ``ids [batch, pieces]`` int64, ``mask [batch, pieces]`` bool, ``first_pieces [batch, words]`` int64,
    ``word_mask [batch, words]`` bool; masks are true where something is. ``markers [batch, 4]`` int64 where a pair is
    marked. ``gold``, in training: the tags ``[batch, words]``, or the relation's label ``[batch, 1]``, int64.
    """

    kind: ViewKind
    ids: npt.NDArray[np.int64]
    mask: npt.NDArray[np.bool_]
    first_pieces: npt.NDArray[np.int64]
    word_mask: npt.NDArray[np.bool_]
    markers: npt.NDArray[np.int64] | None = None
    gold: npt.NDArray[np.int64] | None = None

    @classmethod
    def of(cls, views: Sequence[View], *, pad: int, gold: Sequence[npt.NDArray[np.int64]] | None = None) -> Batch:
        """Pad views of one kind together; ``gold`` holds each post's label indices."""
        ids, mask = padded([view.ids for view in views], fill=pad)
        first_pieces, word_mask = padded([view.first_pieces for view in views])
        markers = np.array([view.markers for view in views], dtype=np.int64) if views[0].markers else None
        labels = padded(gold)[0] if gold is not None else None
        return cls(views[0].kind, ids, mask, first_pieces, word_mask, markers, labels)

    @property
    def decision_mask(self) -> npt.NDArray[np.bool_]:
        """What is decided: ``[batch, words]``, a tag for each word, or ``[batch, 1]``, one label for each pair."""
        return self.word_mask if self.markers is None else np.ones((len(self.ids), 1), dtype=bool)


def padded(
    rows: Sequence[Sequence[int] | npt.NDArray[np.int64]], *, fill: int = 0
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Rows as one array filled up on the right, and where it is real."""
    lengths = np.array([len(row) for row in rows])
    mask = np.arange(lengths.max(initial=0))[None, :] < lengths[:, None]
    array = np.full(mask.shape, fill, dtype=np.int64)
    array[mask] = np.concatenate([np.asarray(row, dtype=np.int64) for row in rows])
    return array, mask


def shuffled_batches(lengths: Sequence[int], batch_size: int, *, seed: int, epoch: int) -> Iterator[list[int]]:
    """One epoch's batches as indices: every post once, posts of like length together, the batches in random order.

    A pure function of its arguments, so that training resumes anywhere without stored state.
    """
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(lengths))
    pool = batch_size * _POOL
    batches = [
        batch
        for start in range(0, len(order), pool)
        for batch in _in_batches(sorted(order[start : start + pool], key=lambda index: lengths[index]), batch_size)
    ]
    for number in generator.permutation(len(batches)):
        yield [int(index) for index in batches[number]]


def _in_batches(indices: Sequence[int], batch_size: int) -> list[Sequence[int]]:
    return [indices[start : start + batch_size] for start in range(0, len(indices), batch_size)]
