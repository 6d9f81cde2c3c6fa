"""How a student learns each task. To add a task, add a file here and a line to `LEARNING`."""

from __future__ import annotations

from cotpd.core.config import Task
from cotpd.distillation.tasks.entities import EntityLearning
from cotpd.distillation.tasks.learning import TaskLearning
from cotpd.distillation.tasks.relations import RelationLearning
from cotpd.distillation.tasks.sentiment import SentimentLearning

LEARNING: dict[Task, TaskLearning] = {
    "entities": EntityLearning(),
    "relations": RelationLearning(),
    "sentiment": SentimentLearning(),
}
