"""The extractor of each task. To add a task, add a file here and a line to `EXTRACTORS`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cotpd.core.config import Task
from cotpd.inference.extractor import Extractor
from cotpd.inference.predictor import TrainedStudent
from cotpd.inference.relation_extractor import RelationExtractor
from cotpd.inference.sentiment_extractor import SentimentExtractor
from cotpd.student.student import Student

EXTRACTORS: dict[Task, type[TrainedStudent]] = {
    "entities": Extractor,
    "relations": RelationExtractor,
    "sentiment": SentimentExtractor,
}


def extractor_of(student: Student, **options: Any) -> Any:
    """Return the extractor of a student's task: an `Extractor`, a `RelationExtractor` and so on.

    Args:
        student: The student.
        **options: The options of the extractor, see `TrainedStudent`.
    """
    return EXTRACTORS[student.design.task](student, **options)


def load_extractor(path_or_name: str | Path, **options: Any) -> Any:
    """Load a trained student as the extractor of its task; arguments and errors as `TrainedStudent.from_pretrained`."""
    loaded = TrainedStudent.from_pretrained(path_or_name, **options)
    return extractor_of(loaded.student, batch_size=loaded.batch_size, precision=loaded.precision)
