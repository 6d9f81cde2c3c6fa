"""Batches of views as padded arrays, in an order that needs little padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cotpd.views.view import View, ViewKind

_POOL = 32
"""The number of batches that are sorted by length together, so that padding is small and the order still random."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Views of one kind, padded on the right.

    Attributes:
        ids: ``[batch, pieces]`` int64.
        mask: ``[batch, pieces]`` bool, True for real pieces.
        first_pieces: ``[batch, words]`` int64, the position of the first piece of each word.
        word_mask: ``[batch, words]`` bool, True for real words.
        markers: ``[batch, markers]`` int64, the positions of the markers; None if no span is marked.
        gold: ``[batch, decisions]`` int64, the gold label of each decision; None outside training.
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
        """Pad views of one kind together; ``pad`` is the id of the padding piece, ``gold`` has a row for each view."""
        ids, mask = pad_rows([view.ids for view in views], fill=pad)
        first_pieces, word_mask = pad_rows([view.first_pieces for view in views])
        markers = np.array([view.markers for view in views], dtype=np.int64) if views[0].markers else None
        labels = pad_rows(gold)[0] if gold is not None else None
        return cls(views[0].kind, ids, mask, first_pieces, word_mask, markers, labels)

    @property
    def decision_mask(self) -> npt.NDArray[np.bool_]:
        """``[batch, decisions]``: a decision for each word, or a single one if spans are marked."""
        return self.word_mask if self.markers is None else np.ones((len(self.ids), 1), dtype=bool)


def pad_rows(
    rows: Sequence[Sequence[int] | npt.NDArray[np.int64]], *, fill: int = 0
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return rows as one array, padded on the right with ``fill``, and a mask that is True for real values."""
    lengths = np.array([len(row) for row in rows])
    mask = np.arange(lengths.max(initial=0))[None, :] < lengths[:, None]
    array = np.full(mask.shape, fill, dtype=np.int64)
    array[mask] = np.concatenate([np.asarray(row, dtype=np.int64) for row in rows])
    return array, mask


def shuffled_batches(lengths: Sequence[int], batch_size: int, *, seed: int, epoch: int) -> Iterator[list[int]]:
    """Yield the batches of one epoch as indices: every example once, batches of similar lengths in random order.

    The result depends only on the arguments, so training can resume anywhere without stored state.
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
