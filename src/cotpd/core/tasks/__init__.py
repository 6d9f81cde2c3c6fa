"""The tasks and their annotations in records. To add a task, add a file here and a line to `ANNOTATIONS`.

Each layer that treats tasks differently has such a table: `cotpd.evaluation.tasks`, `cotpd.student.tasks`,
`cotpd.inference.tasks`, `cotpd.inference.extractors` and `cotpd.distillation.tasks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cotpd.core.config import Task
from cotpd.core.records import Example, Span
from cotpd.core.tasks.annotations import TaskAnnotations
from cotpd.core.tasks.entities import EntityAnnotations
from cotpd.core.tasks.relations import RelationAnnotations
from cotpd.core.tasks.sentiment import SentimentAnnotations

ANNOTATIONS: dict[Task, TaskAnnotations[Any]] = {
    "entities": EntityAnnotations(),
    "relations": RelationAnnotations(),
    "sentiment": SentimentAnnotations(),
}


def marked_spans(unit: Example, task: Task) -> tuple[Span, ...]:
    """Return the spans of a unit that are marked for the encoder; none for a task without markers."""
    annotations = ANNOTATIONS[task]
    return annotations.of(unit)[0].spans if annotations.markers else ()


def task_of(examples: Sequence[Example]) -> Task:
    """Return the first task that the examples have annotations of, entities if they have none."""
    return next((task for task, each in ANNOTATIONS.items() if any(map(each.of, examples))), "entities")
