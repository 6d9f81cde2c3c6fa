"""Decoding of relations: each ordered pair of a post, read with its spans marked, gets one label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

import torch

from cotpd.core.pairs import one_pair_each, pairs
from cotpd.core.records import Example, Prediction, Relation
from cotpd.student.student import Student
from cotpd.views.batch import Batch
from cotpd.views.view import ViewKind, narrowed


def decode_relations(student: Student, pool: Sequence[Example], kind: ViewKind, batch_size: int) -> list[Prediction]:
    """One prediction for each example of the pool: its pairs with the likeliest label each, `NO_RELATION` included.

    The pairs are those that the example states and every other ordered pair of its entities; gold labels are not
    looked at. The score of a relation is the softmax probability of its label.
    """
    owners = [owner for owner, example in enumerate(pool) for _ in pairs(example)]
    marked = [narrowed(student.reader, example) for example in one_pair_each(pool)]
    views = [student.reader.read(example, kind, pair=example.relations[0]) for example in marked]
    order = sorted(range(len(views)), key=lambda number: len(views[number].ids))
    labels: dict[int, tuple[str, float]] = {}
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        batch = Batch.of([views[number] for number in chosen], pad=student.reader.pieces.pad)
        scores, best = torch.max(student(batch).squeeze(1).softmax(-1), dim=-1)
        for number, index, score in zip(chosen, best.tolist(), scores.tolist(), strict=True):
            labels[number] = (student.design.relations[index], score)
    found: list[tuple[Relation, ...]] = [()] * len(pool)
    for owner, numbers in groupby(range(len(owners)), key=owners.__getitem__):
        labelled = zip(pairs(pool[owner]), numbers, strict=True)
        found[owner] = tuple(replace(pair, label=labels[n][0], score=labels[n][1]) for pair, n in labelled)
    return [
        Prediction(example.id, example.words, relations=relations)
        for example, relations in zip(pool, found, strict=True)
    ]
