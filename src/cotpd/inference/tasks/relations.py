"""The decoding of relations: each ordered pair of an example gets one label."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import ClassVar

from cotpd.core.records import Example, Prediction, Relation
from cotpd.inference.candidates import readable_pairs
from cotpd.inference.tasks.marked_spans import classify, unit_windows
from cotpd.inference.windows import Window
from cotpd.student.student import Student
from cotpd.views.view import ViewKind


class RelationDecoder:
    """Classifies pairs; the score of a relation is the softmax probability of its label."""

    unit: ClassVar[str] = "pair"

    def decode(self, student: Student, pool: Sequence[Example], kind: ViewKind, batch_size: int) -> list[Prediction]:
        """Return the pairs of each example of a pool with their most probable label, which may be `NO_RELATION`.

        The pairs are the distinct stated pairs of the example and every other ordered pair of its entities that fits
        the encoder, see `readable_pairs`. Gold labels are not used.

        Raises:
            DataError: If a stated pair does not fit the encoder.
        """
        chosen = [
            (owner, pair)
            for owner, pairs in enumerate(readable_pairs(student.reader, pool))
            for pair in {pair.spans: pair for pair in pairs}.values()
        ]
        units = [replace(pool[owner], relations=(pair,)) for owner, pair in chosen]
        predicted: list[list[Relation]] = [[] for _ in pool]
        for (owner, pair), (label, score) in zip(chosen, classify(student, units, kind, batch_size), strict=True):
            predicted[owner].append(replace(pair, label=label, score=score))
        return [
            Prediction(example.id, example.words, relations=tuple(relations))
            for example, relations in zip(pool, predicted, strict=True)
        ]

    def windows(self, student: Student, number: int, example: Example, kind: ViewKind) -> Iterator[Window]:
        """Yield a window for each stated pair, or for the first readable pair of the entities if none is stated."""
        pairs = example.relations or readable_pairs(student.reader, [example])[0][:1]
        return unit_windows(student, number, (replace(example, relations=(pair,)) for pair in pairs), kind)

    def num_decisions(self, unit: Example) -> int:
        """Return 1: the label of the pair."""
        return 1
