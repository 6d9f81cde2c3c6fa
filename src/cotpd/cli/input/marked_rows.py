"""Read rows of JSON lines: their text and the entities that they mark in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from cotpd.core.errors import DataError

if TYPE_CHECKING:
    from cotpd.inference.relation_extractor import MarkedText, Place

Row = dict[str, Any]


def text_of(row: Row, where: str) -> str:
    """Return the ``text`` of a row, or its ``words`` joined by spaces. Raises `DataError` if it has neither."""
    text, words = row.get("text"), row.get("words")
    if isinstance(text, str):
        return text
    if text is None and isinstance(words, list) and all(isinstance(word, str) for word in words):
        return " ".join(words)
    raise DataError("expected `text` (a string) or `words` (a list of strings)", where=where)


def marked_text(row: Row, where: str) -> MarkedText:
    """Return the text of a row with its marked pair (``head`` and ``tail``) or its marked ``entities``.

    Each mark is an object ``{start, end}`` with an exclusive end. Offsets count code points of ``text``, or words of
    ``words``.

    Raises:
        DataError: If the row has no marks, an offset is out of range, or the ``word`` of a mark is not the text at its
            offsets.
    """
    from cotpd.inference.relation_extractor import MarkedText

    text, marks = text_of(row, where), _marks(row, where)
    if isinstance(row.get("words"), list) and row.get("text") is not None and not all(mark.word for mark in marks.used):
        message = (
            "the row has both `text` and `words`, so its offsets are ambiguous; remove one of them, or add its `word` "
            "to each mark"
        )
        raise DataError(message, where=where)
    words = row["words"] if row.get("text") is None else None
    try:
        places = tuple(_to_characters(mark, words) for mark in marks.used)
        marked = MarkedText(text, pairs=((places[0], places[1]),)) if marks.head else MarkedText(text, entities=places)
    except DataError as error:
        raise DataError(str(error), where=where) from error
    for mark, (start, end) in zip(marks.used, places, strict=True):
        if mark.word is not None and mark.word != text[start:end]:
            message = f"the text at [{mark.start}, {mark.end}) is {text[start:end]!r}, but `word` is {mark.word!r}"
            raise DataError(message, where=where)
    return marked


class _Mark(BaseModel):
    model_config = ConfigDict(strict=True)

    start: int
    end: int
    word: str | None = None


class _Marks(BaseModel):
    model_config = ConfigDict(strict=True)

    head: _Mark | None = None
    tail: _Mark | None = None
    entities: list[_Mark] | None = None

    @property
    def used(self) -> list[_Mark]:
        """The head and the tail, or the entities if there is no pair."""
        return [self.head, self.tail] if self.head and self.tail else self.entities or []


def _marks(row: Row, where: str) -> _Marks:
    hint = "mark a pair as `head` and `tail`, or mark `entities`, each as {start, end}"
    try:
        marks = _Marks.model_validate(row)
    except ValidationError as error:
        detail = error.errors()[0]
        field = ".".join(map(str, detail["loc"]))
        raise DataError(f"{field}: {detail['msg']}; {hint}", where=where) from error
    if (marks.head is None) != (marks.tail is None):
        raise DataError(f"the row has only one of `head` and `tail`; {hint}", where=where)
    if marks.head is None and marks.entities is None:
        raise DataError(f"the row has no marks; {hint}, or find the entities with --entities-from", where=where)
    return marks


def _to_characters(mark: _Mark, words: list[str] | None) -> Place:
    """Return the character offsets of a mark, whose own offsets count ``words`` if they are given."""
    if words is None:
        return mark.start, mark.end
    if not 0 <= mark.start < mark.end <= len(words):
        raise DataError(f"[{mark.start}, {mark.end}) is not a range of the {len(words)} words (the end is exclusive)")
    start = sum(len(word) + 1 for word in words[: mark.start])
    return start, start + len(" ".join(words[mark.start : mark.end]))
