"""How each task is scored. To add a task, add a file here and a line to `SCORING`."""

from __future__ import annotations

from cotpd.core.config import Task
from cotpd.evaluation.matching import MatchingRule
from cotpd.evaluation.tasks.entities import EntityScoring
from cotpd.evaluation.tasks.relations import RelationScoring
from cotpd.evaluation.tasks.scoring import TaskScoring
from cotpd.evaluation.tasks.sentiment import SentimentScoring

SCORING: dict[Task, TaskScoring] = {
    "entities": EntityScoring(),
    "relations": RelationScoring(),
    "sentiment": SentimentScoring(),
}


def exact_rule(task: Task) -> MatchingRule:
    """Return the primary matching rule of a task."""
    return SCORING[task].rule
