"""Values of a JSON file, which is an array or a sequence of values, with the line of each value."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cotpd.core.files import unique_keys
from cotpd.corpus.formats.parsing.reading import Model, Reading

_SPACE = re.compile(r"[ \t\n\r]*+")
_DECODER = json.JSONDecoder(object_pairs_hook=unique_keys)


def json_models(path: Path, reading: Reading, model: type[Model]) -> Iterator[tuple[int, str, Model]]:
    """Yield the number (from 1), the place and the validated row of each value. Invalid values are reported."""
    for number, (where, value) in enumerate(json_values(path, reading), 1):
        if (row := reading.validate(value, where, model)) is not None:
            yield number, where, row


def json_values(path: Path, reading: Reading) -> Iterator[tuple[str, Any]]:
    """Yield each value with its ``file:line``. A further value on the same line has its number added: ``file:1[2]``.

    Invalid JSON is reported as an error and ends the file, since everything after it is unreliable.
    """
    text = "\n".join(line for _, line in reading.lines(path, allow_cr=True))
    position = _skip(text, 0)
    is_array = text.startswith("[", position)
    try:
        yield from _values(text, position + is_array, path, is_array=is_array)
    except json.JSONDecodeError as error:
        message = f"invalid JSON at column {error.colno}: {error.msg}; correct it, the rest of the file is not read"
        reading.fail("unreadable", f"{path}:{error.lineno}", message)
    except RecursionError as error:
        reading.fail("unreadable", f"{path}:1", f"JSON is nested too deeply ({error}); expected an array of posts")


def _values(text: str, position: int, path: Path, *, is_array: bool) -> Iterator[tuple[str, Any]]:
    line, counted, number, line_before = 1, 0, 0, 0
    while True:
        position = _skip(text, position)
        if position == len(text) and not is_array:
            return
        if is_array and text.startswith("]", position):
            _check_end(text, position + 1)
            return
        value, end = _decode(text, position)
        line, counted, number = line + text.count("\n", counted, position), position, number + 1
        yield f"{path}:{line}" + (f"[{number}]" if line == line_before else ""), value
        line_before = line
        position = _after_comma(text, _skip(text, end)) if is_array else end


def _decode(text: str, position: int) -> tuple[Any, int]:
    """Decode the value at a position and return it with its end. Every failure becomes a JSONDecodeError."""
    try:
        return _DECODER.raw_decode(text, position)
    except json.JSONDecodeError:
        raise
    except ValueError as error:
        raise json.JSONDecodeError(str(error), text, position) from error


def _after_comma(text: str, position: int) -> int:
    if text.startswith(",", position):
        if text.startswith("]", _skip(text, position + 1)):
            raise json.JSONDecodeError("a comma stands before the end of the array", text, position)
        return position + 1
    if not text.startswith("]", position):
        raise json.JSONDecodeError("expected a comma or the end of the array", text, position)
    return position


def _check_end(text: str, position: int) -> None:
    if (end := _skip(text, position)) != len(text):
        raise json.JSONDecodeError("text follows the end of the array", text, end)


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position
