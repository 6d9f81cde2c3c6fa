"""JSON lines that mark entities in their text."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from cotpd.core.errors import DataError
from cotpd.inference.marked_text import MarkedText, Place
from cotpd.inference.rows.text_rows import TextRow


def marked_text(row: TextRow) -> MarkedText:
    """Return the text of a row with its ``head`` and ``tail`` as one pair, or else with its ``entities``.

    Each mark is ``{start, end}``, the end exclusive: offsets in code points of ``text``, or in words of ``words``.

    Raises:
        DataError: If the row marks nothing, an offset lies outside the text, or ``word`` differs from the marked text.
    """
    marks = _validate_marks(row)
    words = _offset_words(row, marks)
    try:
        places = tuple(_character_place(mark, words) for mark in marks.used)
        if marks.head:
            marked = MarkedText(row.text, pairs=((places[0], places[1]),))
        else:
            marked = MarkedText(row.text, entities=places)
    except DataError as error:
        raise DataError(str(error), where=row.where) from error
    _require_same_words(row, marks, places)
    return marked


class _Mark(BaseModel):
    model_config = ConfigDict(strict=True)

    start: int
    end: int
    word: str | None = None


class _RowMarks(BaseModel):
    model_config = ConfigDict(strict=True)

    head: _Mark | None = None
    tail: _Mark | None = None
    entities: list[_Mark] | None = None

    @property
    def used(self) -> list[_Mark]:
        """The head and the tail if both are marked, else the entities."""
        return [self.head, self.tail] if self.head and self.tail else self.entities or []


def _validate_marks(row: TextRow) -> _RowMarks:
    advice = "mark a pair as `head` and `tail`, or mark `entities`, each as {start, end}"
    try:
        marks = _RowMarks.model_validate(row.fields)
    except ValidationError as error:
        detail = error.errors()[0]
        field = ".".join(map(str, detail["loc"]))
        raise DataError(f"{field}: {detail['msg']}; {advice}", where=row.where) from error
    if (marks.head is None) != (marks.tail is None):
        raise DataError(f"the row has only one of `head` and `tail`; {advice}", where=row.where)
    if marks.head is None and marks.entities is None:
        raise DataError(f"the row has no marks; {advice}, or find the entities with --entities-from", where=row.where)
    return marks


def _offset_words(row: TextRow, marks: _RowMarks) -> list[str] | None:
    """Return the words that the offsets count, or None if they count characters."""
    words: Any = row.fields.get("words")
    if row.fields.get("text") is None:
        return list(words)
    if isinstance(words, list) and not all(mark.word for mark in marks.used):
        advice = "remove one of them, or add its `word` to each mark"
        message = f"the row has both `text` and `words`, so its offsets are ambiguous; {advice}"
        raise DataError(message, where=row.where)
    return None


def _character_place(mark: _Mark, words: list[str] | None) -> Place:
    """Convert a mark to character offsets. With ``words``, its offsets count these words."""
    if words is None:
        return mark.start, mark.end
    if not 0 <= mark.start < mark.end <= len(words):
        raise DataError(f"[{mark.start}, {mark.end}) lies outside the {len(words)} words; the end is exclusive")
    start = sum(len(word) + 1 for word in words[: mark.start])
    return start, start + len(" ".join(words[mark.start : mark.end]))


def _require_same_words(row: TextRow, marks: _RowMarks, places: tuple[Place, ...]) -> None:
    for mark, (start, end) in zip(marks.used, places, strict=True):
        marked = row.text[start:end]
        if mark.word is not None and mark.word != marked:
            message = f"the text at [{mark.start}, {mark.end}) is {marked!r}, but `word` is {mark.word!r}"
            raise DataError(message, where=row.where)
