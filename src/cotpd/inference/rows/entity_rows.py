"""Entities of rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import tee

from cotpd.inference.extractor import Extractor
from cotpd.inference.rows.row_answers import RowAnswer, RowOptions, answer_until_error
from cotpd.inference.rows.text_rows import TextRow
from cotpd.student.student import Student


def answer_entities(student: Student, rows: Iterable[TextRow], options: RowOptions) -> Iterator[RowAnswer]:
    """Yield each row with its ``entities``."""
    extractor = Extractor(student, **options.of_extractor)

    def answers(source: Iterator[TextRow]) -> Iterator[RowAnswer]:
        to_read, to_answer = tee(source)
        extractions = extractor.stream(row.text for row in to_read)
        for extraction, row in zip(extractions, to_answer, strict=False):
            yield row, extraction.to_dict()

    return answer_until_error(rows, answers)
