"""Sentiments of rows: toward targets that the rows mark, or toward entities that another student finds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import tee
from typing import NamedTuple

from cotpd.core.errors import DataError
from cotpd.inference.extractor import Extractor
from cotpd.inference.marked_text import MarkedText
from cotpd.inference.rows.marked_rows import marked_text
from cotpd.inference.rows.row_answers import RowAnswer, RowOptions, answer_until_error
from cotpd.inference.rows.text_rows import TextRow
from cotpd.inference.sentiment_extractor import SentimentExtractor
from cotpd.student.student import Student


def answer_sentiments(student: Student, rows: Iterable[TextRow], options: RowOptions) -> Iterator[RowAnswer]:
    """Yield each row with its ``sentiments``, and with its ``entities`` if ``options.entity_finder`` is set.

    A row marks one ``target``, or several targets as ``entities``.

    Raises:
        DataError: If a row marks no target, or a target that is longer than the encoder allows.
    """
    extractor, finder = SentimentExtractor(student, **options.of_extractor), options.entity_finder
    if finder:
        return answer_until_error(rows, lambda source: _answer_found(extractor, finder, source))
    marked = (_RowWithTargets(row, marked_text(_with_entities(row))) for row in rows)
    return answer_until_error(marked, lambda source: _answer_marked(extractor, source))


class _RowWithTargets(NamedTuple):
    row: TextRow
    marked: MarkedText


def _with_entities(row: TextRow) -> TextRow:
    """Return the row with its target as its only entity, or with its entities."""
    fields = {key: value for key, value in row.fields.items() if key not in ("head", "tail")}
    if "target" in fields:
        return row._replace(fields=fields | {"entities": [fields["target"]]})
    if "entities" in fields:
        return row._replace(fields=fields)
    advice = "mark one `target` or several `entities`, each as {start, end}, or find the entities with --entities-from"
    raise DataError(f"the row has no marks; {advice}", where=row.where)


def _answer_found(extractor: SentimentExtractor, finder: Extractor, rows: Iterator[TextRow]) -> Iterator[RowAnswer]:
    to_read, to_answer = tee(rows)
    to_classify, extractions = tee(finder.stream(row.text for row in to_read))
    for extraction, entities, row in zip(extractor.stream(to_classify), extractions, to_answer, strict=False):
        yield row, entities.to_dict() | extraction.to_dict()


def _answer_marked(extractor: SentimentExtractor, rows: Iterator[_RowWithTargets]) -> Iterator[RowAnswer]:
    to_read, to_answer = tee(rows)
    for extraction, (row, _) in zip(extractor.stream(item.marked for item in to_read), to_answer, strict=False):
        yield row, extraction.to_dict()
