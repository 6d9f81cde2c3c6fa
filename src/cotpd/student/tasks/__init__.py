"""The output of a student for each task: head, names of the outputs, and model card."""

from __future__ import annotations

from cotpd.core.config import Task
from cotpd.student.tasks.entities import EntityOutput
from cotpd.student.tasks.output import TaskOutput
from cotpd.student.tasks.relations import RelationOutput
from cotpd.student.tasks.sentiment import SentimentOutput

OUTPUTS: dict[Task, TaskOutput] = {
    "entities": EntityOutput(),
    "relations": RelationOutput(),
    "sentiment": SentimentOutput(),
}
