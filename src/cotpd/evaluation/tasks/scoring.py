"""The interface between a task and the evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar, Literal, Protocol

from cotpd.core.records import Example, Prediction
from cotpd.evaluation.cooccurrence import CoOccurrence
from cotpd.evaluation.matching import MatchingRule

Metric = Literal["micro_f1", "macro_f1"]


class TaskScoring(Protocol):
    """How predictions of one task are scored.

    Attributes:
        rule: The primary matching rule, an exact one.
        has_modes: Whether the modes ``conlleval`` and ``strict`` differ.
        micro_name: The name of the micro-averaged F1 in tables.
        dev_metric: The metric on dev, a property of `Scores`, that selects the best weights.
    """

    rule: ClassVar[MatchingRule]
    has_modes: ClassVar[bool]
    micro_name: ClassVar[str]
    dev_metric: ClassVar[Metric]

    def secondary_rules(self, train: Iterable[Example]) -> list[MatchingRule]:
        """Return the rules of the secondary scores; some need the training examples."""

    def post_numbers(self, examples: Sequence[Example]) -> tuple[int, ...]:
        """Return the post number of each example, from 0; empty if every example is a post of its own."""

    def scorable(self, predictions: Sequence[Prediction], examples: Sequence[Example]) -> Sequence[Prediction]:
        """Return the predictions without annotations that gold neither confirms nor refutes."""

    def co_occurrence(self, predictions: Sequence[Prediction], examples: Sequence[Example]) -> CoOccurrence | None:
        """Count the relations predicted between entities that merely co-occur; None for other tasks."""
