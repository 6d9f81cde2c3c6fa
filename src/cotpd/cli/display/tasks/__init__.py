"""The output of the command line for each task. To add a task, add a file here and a line to `DISPLAYS`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cotpd.cli.display.tasks.display import TaskDisplay
from cotpd.cli.display.tasks.entities import EntityDisplay
from cotpd.cli.display.tasks.relations import RelationDisplay
from cotpd.cli.display.tasks.sentiment import SentimentDisplay

if TYPE_CHECKING:
    from cotpd.core.config import Task

DISPLAYS: dict[Task, TaskDisplay[Any]] = {
    "entities": EntityDisplay(),
    "relations": RelationDisplay(),
    "sentiment": SentimentDisplay(),
}
