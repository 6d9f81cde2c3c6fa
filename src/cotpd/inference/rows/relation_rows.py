"""Relations of rows: between entities that the rows mark, or that another student finds."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from itertools import tee
from typing import NamedTuple

from cotpd.core.errors import DataError
from cotpd.inference.extractor import Extractor
from cotpd.inference.marked_text import MarkedText
from cotpd.inference.relation_extractor import RelationExtraction, RelationExtractor
from cotpd.inference.rows.marked_rows import marked_text
from cotpd.inference.rows.row_answers import RowAnswer, RowOptions, answer_until_error
from cotpd.inference.rows.text_rows import TextRow
from cotpd.student.student import Student

logger = logging.getLogger(__name__)


def answer_relations(student: Student, rows: Iterable[TextRow], options: RowOptions) -> Iterator[RowAnswer]:
    """Yield each row with its ``relations``, and with its ``entities`` if ``options.entity_finder`` is set.

    Pairs without a relation are omitted unless ``options.unrelated`` is set or the row marks a single pair.

    Raises:
        DataError: If a row marks no entities, or marks a pair that is longer than the encoder allows.
    """
    extractor, finder = RelationExtractor(student, **options.of_extractor), options.entity_finder
    if finder:
        return answer_until_error(rows, lambda source: _answer_found(extractor, finder, source, options))
    marked = (_MarkedRow(row, marked_text(row)) for row in rows)
    return answer_until_error(marked, lambda source: _answer_marked(extractor, source, options))


class _MarkedRow(NamedTuple):
    row: TextRow
    marked: MarkedText


def _answer_found(
    extractor: RelationExtractor, finder: Extractor, rows: Iterator[TextRow], options: RowOptions
) -> Iterator[RowAnswer]:
    to_read, to_answer = tee(rows)
    to_relate, extractions = tee(finder.stream(row.text for row in to_read))
    for extraction, entities, row in zip(extractor.stream(to_relate), extractions, to_answer, strict=False):
        _warn_of_distant_pairs(extraction, row)
        yield row, entities.to_dict() | extraction.to_dict(unrelated=options.unrelated)


def _answer_marked(
    extractor: RelationExtractor, rows: Iterator[_MarkedRow], options: RowOptions
) -> Iterator[RowAnswer]:
    to_read, to_answer = tee(rows)
    extractions = extractor.stream(item.marked for item in to_read)
    for extraction, (row, marked) in zip(extractions, to_answer, strict=False):
        is_single_pair = bool(marked.pairs)
        if is_single_pair and extraction.num_omitted:
            raise DataError(
                "the words from head to tail are longer than the encoder allows; remove this row", where=row.where
            )
        _warn_of_distant_pairs(extraction, row)
        yield row, extraction.to_dict(unrelated=options.unrelated or is_single_pair)


def _warn_of_distant_pairs(extraction: RelationExtraction, row: TextRow) -> None:
    if extraction.num_omitted:
        logger.warning(
            "%s: skipped %d pairs of entities that are too far apart to be read together",
            row.where,
            extraction.num_omitted,
        )
