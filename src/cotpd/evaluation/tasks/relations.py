"""The scoring of relations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from cotpd.core.pairs import post_numbers
from cotpd.core.records import Example, Prediction
from cotpd.evaluation.cooccurrence import CoOccurrence, co_occurrence, drop_unknown_pairs
from cotpd.evaluation.matching import ExactRelations, MatchingRule
from cotpd.evaluation.tasks.scoring import Metric


class RelationScoring:
    """Exact heads, tails and labels; a corpus such as MNRE has an example for each pair of a post."""

    rule: ClassVar[MatchingRule] = ExactRelations()
    has_modes: ClassVar[bool] = False
    micro_name: ClassVar[str] = "micro F1"
    dev_metric: ClassVar[Metric] = "micro_f1"

    def secondary_rules(self, train: Iterable[Example]) -> list[MatchingRule]:
        """Return no rules."""
        return []

    def post_numbers(self, examples: Sequence[Example]) -> tuple[int, ...]:
        """Return the post number of each example. Examples with the same words and image belong to one post."""
        return post_numbers(examples)

    def scorable(self, predictions: Sequence[Prediction], examples: Sequence[Example]) -> Sequence[Prediction]:
        """Return the predictions without unlisted pairs if the corpus only lists pairs."""
        return drop_unknown_pairs(predictions, examples)

    def co_occurrence(self, predictions: Sequence[Prediction], examples: Sequence[Example]) -> CoOccurrence:
        """Count the relations predicted between entities that merely co-occur."""
        return co_occurrence(predictions, examples)
