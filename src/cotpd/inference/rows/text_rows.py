"""Rows of text to extract from: lines of text, or JSON lines with ``text`` or ``words``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from cotpd.core.errors import DataError
from cotpd.core.files import decode_lines, read_jsonl, read_lines
from cotpd.core.labels import OUTSIDE, is_tag

_JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")

_CORPUS_LINE = re.compile(r"(?i:IMGID:)|-DOCSTART-|#FORMAT=WebAnno|# ?(?:sent_id|text|newdoc|global\.columns)\b.*[=:]")
"""The first line of a corpus of tagged words. Read as text, each of its words would become one row."""
_PART_OF_SPEECH = re.compile(r"NNP?S?|VB[DGNPZ]?|JJ[RS]?|RB[RS]?|PRP\$?|IN|DT|CC|CD|MD|UH|USR|URL|HT|RT|\W")


class TextRow(NamedTuple):
    """One text to extract from.

    Attributes:
        text: The text; the ``words`` of a JSON line are joined by single spaces.
        fields: All fields of a JSON line; empty for a line of text.
        where: The place of the row for messages, such as ``posts.jsonl:3``.
    """

    text: str
    fields: dict[str, Any]
    where: str


def read_text_rows(path: Path) -> Iterator[TextRow]:
    """Yield the rows of a file: JSON lines if its suffix says so, otherwise lines of text.

    Raises:
        DataError: If the file cannot be read, a row has no text, or the first line shows another format.
    """
    if is_json_lines(path):
        return (TextRow(row_text(fields, where), fields, where) for where, fields in read_jsonl(path, only_finite=True))
    return _line_rows(read_lines(path), str(path), convert=str(path))


def count_lines(path: Path) -> int | None:
    """Return the number of lines of a regular file, for a progress bar; None if it cannot be read twice."""
    if not path.is_file():
        return None
    with path.open("rb") as stream:
        return sum(1 for _ in stream)


def stream_text_rows(stream: Iterable[bytes], name: str) -> Iterator[TextRow]:
    """Yield one row for each UTF-8 line of a stream. ``name`` stands for the stream in messages.

    Raises:
        DataError: If a line is not UTF-8, or the first line shows another format.
    """
    return _line_rows(decode_lines(stream, name), name, convert="FILE")


def is_json_lines(path: Path) -> bool:
    """Return True if a file has a suffix for JSON lines."""
    return path.suffix in _JSON_SUFFIXES


def row_text(fields: dict[str, Any], where: str) -> str:
    """Return the ``text`` of a JSON line, or its ``words`` joined by single spaces.

    Raises:
        DataError: If the row has neither.
    """
    text, words = fields.get("text"), fields.get("words")
    if isinstance(text, str):
        return text
    if text is None and isinstance(words, list) and all(isinstance(word, str) for word in words):
        return " ".join(words)
    raise DataError("expected `text` (a string) or `words` (a list of strings) in the row", where=where)


def _line_rows(lines: Iterator[tuple[int, str]], name: str, *, convert: str) -> Iterator[TextRow]:
    """Yield lines as rows. ``convert`` is the file name to use in the advice about `cotpd convert`."""
    is_first = True
    for number, line in lines:
        where = f"{name}:{number}"
        if is_first and line.strip():
            is_first = False
            _require_plain_text(line, where, convert)
        yield TextRow(line, {}, where)


def _require_plain_text(line: str, where: str, convert: str) -> None:
    if _CORPUS_LINE.match(line) or _is_tagged_word(line.rstrip()):
        advice = f"run `cotpd convert {convert} posts.jsonl` and pass the result with --file"
        raise DataError(f"expected lines of text, got tagged words; {advice}", where=where)
    if _is_json_row(line):
        advice = "save them with the suffix .jsonl and pass the file with --file"
        raise DataError(f"expected lines of text, got JSON lines; {advice}", where=where)


def _is_tagged_word(line: str) -> bool:
    """Return True for a line of columns: a word, its tag, and perhaps a number, a part of speech and other tags.

    Between spaces, three columns and more are a text unless their contents look like such columns.
    """
    columns = line.split("\t") if "\t" in line else line.split()
    values = [column.strip() for column in columns[1:]]
    if not values or not is_tag(values[-1]):
        return len(values) > 2 and columns[0].isdecimal() and "_" in values
    if len(values) == 1 or "\t" in line or is_tag(values[-2]):
        return True
    are_codes = all(value == value.upper() for value in values[:-1])
    return are_codes and (values[-1] != OUTSIDE or "_" in values or bool(_PART_OF_SPEECH.fullmatch(values[0])))


def _is_json_row(line: str) -> bool:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(row, dict) and not row.keys().isdisjoint(("text", "words"))
