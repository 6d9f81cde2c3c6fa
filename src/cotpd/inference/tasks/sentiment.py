"""The decoding of target sentiment: each target of an example gets one label."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import ClassVar

from cotpd.core.records import Example, Prediction, TargetSentiment
from cotpd.inference.tasks.marked_spans import classify, unit_windows
from cotpd.inference.windows import Window
from cotpd.student.student import Student
from cotpd.views.view import ViewKind


class SentimentDecoder:
    """Classifies targets; the score of a sentiment is the softmax probability of its label."""

    unit: ClassVar[str] = "target"

    def decode(self, student: Student, pool: Sequence[Example], kind: ViewKind, batch_size: int) -> list[Prediction]:
        """Return the targets of each example of a pool with their most probable label. Gold labels are not used.

        Raises:
            DataError: If a target does not fit the encoder.
        """
        chosen = [(owner, target) for owner, example in enumerate(pool) for target in example.sentiments]
        units = [replace(pool[owner], sentiments=(target,)) for owner, target in chosen]
        predicted: list[list[TargetSentiment]] = [[] for _ in pool]
        for (owner, target), (label, score) in zip(chosen, classify(student, units, kind, batch_size), strict=True):
            predicted[owner].append(replace(target, label=label, score=score))
        return [
            Prediction(example.id, example.words, sentiments=tuple(sentiments))
            for example, sentiments in zip(pool, predicted, strict=True)
        ]

    def windows(self, student: Student, number: int, example: Example, kind: ViewKind) -> Iterator[Window]:
        """Yield a window for each target."""
        units = (replace(example, sentiments=(target,)) for target in example.sentiments)
        return unit_windows(student, number, units, kind)

    def num_decisions(self, unit: Example) -> int:
        """Return 1: the sentiment toward the target."""
        return 1
