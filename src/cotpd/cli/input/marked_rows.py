"""Rows of JSON lines: their text, and the places that they mark in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from cotpd.core.errors import DataError

if TYPE_CHECKING:
    from cotpd.inference.relation_extractor import MarkedText, Place

Row = dict[str, Any]


def text_of(row: Row, where: str) -> str:
    """The text of a row, or its ``words`` joined by spaces. Raises `DataError` where it has neither."""
    text, words = row.get("text"), row.get("words")
    if isinstance(text, str):
        return text
    if text is None and isinstance(words, list) and all(isinstance(word, str) for word in words):
        return " ".join(words)
    raise DataError("`text`, a string, or `words`, a list of strings, was expected", where=where)


def marked_text(row: Row, where: str) -> MarkedText:
    """The text of a row with its pair of ``head`` and ``tail``, or else with its ``entities``.

    A place is ``{start, end}``, the end exclusive, in code points of ``text`` or in words of ``words``. Raises
    `DataError` for a row without marks, places that cannot be, and a ``word`` that is not what stands at its place.
    """
    from cotpd.inference.relation_extractor import MarkedText

    text, marks = text_of(row, where), _marks(row, where)
    if isinstance(row.get("words"), list) and row.get("text") is not None and not all(p.word for p in marks.places):
        message = (
            "`text` and `words`: do offsets count characters or words? Leave one out, or give each place its `word`"
        )
        raise DataError(message, where=where)
    words = row["words"] if row.get("text") is None else None
    try:
        places = tuple(_characters(place, words) for place in marks.places)
        marked = MarkedText(text, pairs=((places[0], places[1]),)) if marks.head else MarkedText(text, entities=places)
    except DataError as error:
        raise DataError(str(error), where=where) from error
    for place, (start, end) in zip(marks.places, places, strict=True):
        if place.word is not None and place.word != text[start:end]:
            raise DataError(f"[{place.start}, {place.end}) is {text[start:end]!r}, not {place.word!r}", where=where)
    return marked


class _Place(BaseModel):
    model_config = ConfigDict(strict=True)

    start: int
    end: int
    word: str | None = None


class _Marks(BaseModel):
    model_config = ConfigDict(strict=True)

    head: _Place | None = None
    tail: _Place | None = None
    entities: list[_Place] | None = None

    @property
    def places(self) -> list[_Place]:
        """Those that are used: of the pair, or else of the entities."""
        return [self.head, self.tail] if self.head and self.tail else self.entities or []


def _marks(row: Row, where: str) -> _Marks:
    hint = "mark a pair as `head` and `tail`, or `entities`, each place as {start, end}"
    try:
        marks = _Marks.model_validate(row)
    except ValidationError as error:
        detail = error.errors()[0]
        place = ".".join(map(str, detail["loc"]))
        raise DataError(f"{place}: {detail['msg']}; {hint}", where=where) from error
    if (marks.head is None) != (marks.tail is None):
        raise DataError(f"only one of `head` and `tail`; {hint}", where=where)
    if marks.head is None and marks.entities is None:
        raise DataError(f"nothing is marked; {hint}, or have entities found with --entities-from", where=where)
    return marks


def _characters(place: _Place, words: list[str] | None) -> Place:
    """A place among the characters of the text; among those of ``words`` joined by spaces where they are given."""
    if words is None:
        return place.start, place.end
    if not 0 <= place.start < place.end <= len(words):
        size = f"a post of {len(words)} words (the end is exclusive)"
        raise DataError(f"[{place.start}, {place.end}) does not lie in {size}")
    start = sum(len(word) + 1 for word in words[: place.start])
    return start, start + len(" ".join(words[place.start : place.end]))
