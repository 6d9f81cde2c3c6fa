"""The scoring of target sentiment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import ClassVar

from cotpd.core.config import Task
from cotpd.core.pairs import post_numbers
from cotpd.core.records import Example, Prediction
from cotpd.evaluation.matching import ExampleCounts, MatchingRule, MatchKey, Mode, count_matches
from cotpd.evaluation.tasks.scoring import Metric


class ExactSentiments:
    """The same target and the same label, in every mode."""

    task: ClassVar[Task] = "sentiment"
    name: ClassVar[str] = "exact"

    def count(self, predicted: Prediction, gold: Example, mode: Mode) -> ExampleCounts:
        """Count one example by sentiment."""
        return count_matches(_keys(predicted), _keys(gold))


class SentimentScoring:
    """Accuracy and macro F1 over the labels.

    Every target has exactly one gold and one predicted label, so the micro-averaged F1 is the accuracy. The labels are
    unbalanced, so macro F1 selects the best weights.
    """

    rule: ClassVar[MatchingRule] = ExactSentiments()
    has_modes: ClassVar[bool] = False
    micro_name: ClassVar[str] = "accuracy"
    dev_metric: ClassVar[Metric] = "macro_f1"

    def secondary_rules(self, train: Iterable[Example]) -> list[MatchingRule]:
        """Return no rules."""
        return []

    def post_numbers(self, examples: Sequence[Example]) -> tuple[int, ...]:
        """Return the post number of each example. A corpus may have one example per target of a post."""
        return post_numbers(examples)

    def scorable(self, predictions: Sequence[Prediction], examples: Sequence[Example]) -> Sequence[Prediction]:
        """Return all predictions: they are about the gold targets only."""
        return predictions

    def co_occurrence(self, predictions: Sequence[Prediction], examples: Sequence[Example]) -> None:
        """Return None."""


def _keys(record: Prediction | Example) -> Counter[MatchKey]:
    return Counter((sentiment.label, sentiment.span) for sentiment in record.sentiments)
