"""Extraction from rows of text, for every task."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from cotpd.core.config import Task
from cotpd.inference.rows.entity_rows import answer_entities
from cotpd.inference.rows.relation_rows import answer_relations
from cotpd.inference.rows.row_answers import RowAnswer, RowOptions
from cotpd.inference.rows.sentiment_rows import answer_sentiments
from cotpd.inference.rows.text_rows import TextRow
from cotpd.student.student import Student


class RowTask(NamedTuple):
    """How rows are answered for one task.

    Attributes:
        answer: Yields each row with its answer.
        needs_entities: Whether the rows must mark entities, or an entity finder must be given.
    """

    answer: Callable[[Student, Iterable[TextRow], RowOptions], Iterator[RowAnswer]]
    needs_entities: bool


ROW_TASKS: dict[Task, RowTask] = {
    "entities": RowTask(answer_entities, needs_entities=False),
    "relations": RowTask(answer_relations, needs_entities=True),
    "sentiment": RowTask(answer_sentiments, needs_entities=True),
}


def extract_rows(student: Student, rows: Iterable[TextRow], options: RowOptions | None = None) -> Iterator[RowAnswer]:
    """Yield each row with what the student extracts from it, in order and as a stream.

    Rows before a defective one are answered before its error is raised.

    Raises:
        DataError: If a row is defective. The message names its place.
    """
    chosen = options or RowOptions()
    for row, answer in ROW_TASKS[student.design.task].answer(student, rows, chosen):
        yield row, _with_sure_ones(answer, chosen.min_score)


def _with_sure_ones(answer: dict[str, Any], min_score: float) -> dict[str, Any]:
    """Return an answer without the entities, relations and sentiments whose score is smaller."""
    return {
        key: [each for each in value if each["score"] >= min_score] if isinstance(value, list) else value
        for key, value in answer.items()
    }
