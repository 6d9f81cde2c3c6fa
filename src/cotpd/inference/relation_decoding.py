"""Decoding of relations: each ordered pair of a post, read with its spans marked, gets one label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from cotpd.core.records import Example, Prediction, Relation
from cotpd.inference.candidates import readable_pairs
from cotpd.student.student import Student
from cotpd.views.batch import Batch
from cotpd.views.view import View, ViewKind, narrowed

_POOL = 32
"""Batches of pairs that are read and sorted by length together: a document may have thousands of pairs."""


def decode_relations(student: Student, pool: Sequence[Example], kind: ViewKind, batch_size: int) -> list[Prediction]:
    """One prediction for each example of the pool: its pairs with the likeliest label each, `NO_RELATION` included.

    The pairs are those that the example states, each once, and every other ordered pair of its entities that
    `readable_pairs` gives; gold labels are not looked at. The score of a relation is the softmax probability of its
    label. Raises `DataError` for a stated pair that the encoder cannot read.
    """
    asked = [
        (owner, pair)
        for owner, pairs in enumerate(readable_pairs(student.reader, pool))
        for pair in {(pair.head, pair.tail): pair for pair in pairs}.values()
    ]
    found: list[list[Relation]] = [[] for _ in pool]
    for start in range(0, len(asked), _POOL * batch_size):
        chosen = asked[start : start + _POOL * batch_size]
        views = [_view(student, pool[owner], pair, kind) for owner, pair in chosen]
        for (owner, pair), (label, score) in zip(chosen, _labels(student, views, batch_size), strict=True):
            found[owner].append(replace(pair, label=label, score=score))
    return [
        Prediction(example.id, example.words, relations=tuple(relations))
        for example, relations in zip(pool, found, strict=True)
    ]


def _view(student: Student, example: Example, pair: Relation, kind: ViewKind) -> View:
    marked = narrowed(student.reader, replace(example, relations=(pair,)))
    return student.reader.read(marked, kind, pair=marked.relations[0])


def _labels(student: Student, views: Sequence[View], batch_size: int) -> list[tuple[str, float]]:
    """The likeliest label of each view and its probability, from batches of views of like length."""
    order = sorted(range(len(views)), key=lambda number: len(views[number].ids))
    labels: dict[int, tuple[str, float]] = {}
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        batch = Batch.of([views[number] for number in chosen], pad=student.reader.pieces.pad)
        scores, best = torch.max(student(batch).squeeze(1).softmax(-1), dim=-1)
        for number, index, score in zip(chosen, best.tolist(), scores.tolist(), strict=True):
            labels[number] = (student.design.relations[index], score)
    return [labels[number] for number in range(len(views))]
