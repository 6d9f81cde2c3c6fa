"""The report of an evaluation: the primary scores, what else was counted, and the comparison with another run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cotpd.core.config import Task
from cotpd.core.records import Example, Prediction
from cotpd.evaluation.cooccurrence import CoOccurrence
from cotpd.evaluation.evaluator import evaluate
from cotpd.evaluation.matching import DEFAULT_MODE, Boundaries, Mode, Overlap, SeenEntities
from cotpd.evaluation.scores import Scores, TypeScores
from cotpd.evaluation.statistics.significance import Comparison
from cotpd.evaluation.table import aligned, percent
from cotpd.evaluation.tasks import SCORING


@dataclass(frozen=True, slots=True)
class Report:
    """Scores with what explains them; `str` is for people, `to_dict` for programs.

    ``facts``: what was scored (run, data, view …), shown first. ``against``: the same of the other run.
    """

    scores: Scores
    secondary: tuple[Scores, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    against: Mapping[str, str] = field(default_factory=dict)
    comparison: Comparison | None = None
    co_occurrence: CoOccurrence | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it; rates from 0 to 1."""
        compared = {"against": {**self.against, **self.comparison.to_dict()}} if self.comparison else {}
        secondary = {scores.rule: scores.to_dict() for scores in self.secondary}
        pairs = {"pairs": self.co_occurrence.to_dict()} if self.co_occurrence else {}
        return {**self.facts, **self.scores.to_dict(), "secondary": secondary, **pairs, **compared}

    def __str__(self) -> str:
        parts = [_listed(self.facts), str(self.scores)]
        if self.secondary:
            parts.append(self._secondary_table())
        if self.co_occurrence:
            parts.append(str(self.co_occurrence))
        if self.comparison:
            parts.append(f"against {' '.join(self.against.values())}\n{self.comparison}")
        return "\n\n".join(filter(None, parts))

    def _secondary_table(self) -> str:
        rows = [(name, *map(percent, counts.rates), f"{counts.support:,}") for name, counts in self._secondary_rows()]
        return aligned(("also counted", "precision", "recall", "F1", "support"), rows)

    def _secondary_rows(self) -> Iterator[tuple[str, TypeScores]]:
        for scores in self.secondary:
            if scores.rule == SeenEntities.name:
                yield from ((f"{name} as an entity in training", counts) for name, counts in scores.by_type.items())
            else:
                yield _MEANING.get(scores.rule, scores.rule), scores.total


_MEANING = {Boundaries.name: "right words, any type", Overlap.name: "right type, a word in common"}


def secondary_scores(
    predictions: Sequence[Prediction],
    examples: Sequence[Example],
    *,
    task: Task = "entities",
    mode: Mode = DEFAULT_MODE,
    train: Iterable[Example] = (),
) -> tuple[Scores, ...]:
    """Score predictions by the secondary rules of their task; some need the training examples.

    Raises:
        DataError: As `evaluate` raises.
    """
    rules = SCORING[task].secondary_rules(train)
    return tuple(evaluate(predictions, examples, mode=mode, rule=rule) for rule in rules)


def _listed(facts: Mapping[str, str]) -> str:
    width = max(map(len, facts), default=0)
    return "\n".join(f"{name.ljust(width)}  {value}" for name, value in facts.items())
