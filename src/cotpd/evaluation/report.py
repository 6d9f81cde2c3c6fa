"""Report of an evaluation: the primary scores, the scores under other rules, and a comparison with another run."""

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
from cotpd.evaluation.table import format_table, percent
from cotpd.evaluation.tasks import SCORING


@dataclass(frozen=True, slots=True)
class Report:
    """Scores with their context. ``str(report)`` is for people, `to_dict` for programs.

    Attributes:
        scores: The primary scores.
        secondary: Scores of the same predictions under other matching rules.
        facts: What was scored (run, data, view ...), shown first.
        against: The facts of the run that `comparison` compares with.
        comparison: The comparison with that run.
        co_occurrence: Counts of falsely related pairs, for relations.
    """

    scores: Scores
    secondary: tuple[Scores, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    against: Mapping[str, str] = field(default_factory=dict)
    comparison: Comparison | None = None
    co_occurrence: CoOccurrence | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values; rates are between 0 and 1."""
        compared = {"against": {**self.against, **self.comparison.to_dict()}} if self.comparison else {}
        secondary = {scores.rule: scores.to_dict() for scores in self.secondary}
        pairs = {"pairs": self.co_occurrence.to_dict()} if self.co_occurrence else {}
        return {**self.facts, **self.scores.to_dict(), "secondary": secondary, **pairs, **compared}

    def __str__(self) -> str:
        parts = [_format_facts(self.facts), str(self.scores)]
        if self.secondary:
            parts.append(self._secondary_table())
        if self.co_occurrence:
            parts.append(str(self.co_occurrence))
        if self.comparison:
            parts.append(f"compared with {' '.join(self.against.values())}\n{self.comparison}")
        return "\n\n".join(filter(None, parts))

    def _secondary_table(self) -> str:
        rows = [(name, *map(percent, counts.rates), f"{counts.support:,}") for name, counts in self._secondary_rows()]
        return format_table(("other matching rules", "precision", "recall", "F1", "support"), rows)

    def _secondary_rows(self) -> Iterator[tuple[str, TypeScores]]:
        for scores in self.secondary:
            if scores.rule == SeenEntities.name:
                yield from ((f"exact, entities {name} in training", counts) for name, counts in scores.by_type.items())
            else:
                yield _RULE_DESCRIPTIONS.get(scores.rule, scores.rule), scores.total


_RULE_DESCRIPTIONS = {Boundaries.name: "same words, any type", Overlap.name: "same type, overlapping words"}


def secondary_scores(
    predictions: Sequence[Prediction],
    examples: Sequence[Example],
    *,
    task: Task = "entities",
    mode: Mode = DEFAULT_MODE,
    train: Iterable[Example] = (),
) -> tuple[Scores, ...]:
    """Score predictions under the secondary matching rules of their task.

    Args:
        predictions: One prediction for each example.
        examples: The gold examples.
        task: What was predicted.
        mode: Whether entities that begin with an ``I-`` tag count.
        train: Training examples, for the rules that separate seen from unseen entities.

    Raises:
        DataError: If the predictions do not fit the examples, as in `evaluate`.
    """
    rules = SCORING[task].secondary_rules(train)
    return tuple(evaluate(predictions, examples, mode=mode, rule=rule) for rule in rules)


def _format_facts(facts: Mapping[str, str]) -> str:
    width = max(map(len, facts), default=0)
    return "\n".join(f"{name.ljust(width)}  {value}" for name, value in facts.items())
