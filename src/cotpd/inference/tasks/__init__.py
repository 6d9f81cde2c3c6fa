"""How examples are read and decoded for each task. To add a task, add a file here and a line to `DECODERS`."""

from __future__ import annotations

from cotpd.core.config import Task
from cotpd.inference.tasks.decoder import TaskDecoder
from cotpd.inference.tasks.entities import EntityDecoder
from cotpd.inference.tasks.relations import RelationDecoder
from cotpd.inference.tasks.sentiment import SentimentDecoder

DECODERS: dict[Task, TaskDecoder] = {
    "entities": EntityDecoder(),
    "relations": RelationDecoder(),
    "sentiment": SentimentDecoder(),
}
