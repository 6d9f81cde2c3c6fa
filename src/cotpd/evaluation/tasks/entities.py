"""The scoring of named entities."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from cotpd.core.records import Example, Prediction
from cotpd.evaluation.matching import Boundaries, ExactEntities, MatchingRule, Overlap, SeenEntities, surfaces_of
from cotpd.evaluation.tasks.scoring import Metric


class EntityScoring:
    """Exact spans and types; every example is a post of its own."""

    rule: ClassVar[MatchingRule] = ExactEntities()
    has_modes: ClassVar[bool] = True
    micro_name: ClassVar[str] = "micro F1"
    dev_metric: ClassVar[Metric] = "micro_f1"

    def secondary_rules(self, train: Iterable[Example]) -> list[MatchingRule]:
        """Return boundaries, overlap, and with training examples the exact rule by seen and unseen entities."""
        surfaces = surfaces_of(train)
        seen: list[MatchingRule] = [SeenEntities({"seen": surfaces})] if surfaces else []
        return [Boundaries(), Overlap(), *seen]

    def post_numbers(self, examples: Sequence[Example]) -> tuple[int, ...]:
        """Return no numbers."""
        return ()

    def scorable(self, predictions: Sequence[Prediction], examples: Sequence[Example]) -> Sequence[Prediction]:
        """Return all predictions: gold marks every entity of an example."""
        return predictions

    def co_occurrence(self, predictions: Sequence[Prediction], examples: Sequence[Example]) -> None:
        """Return None."""
