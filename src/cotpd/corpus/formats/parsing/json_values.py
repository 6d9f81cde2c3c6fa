"""The values of a JSON file that holds an array, or one value after another, each with its line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cotpd.core.files import read_lines, unique_keys
from cotpd.corpus.defects import Defect
from cotpd.corpus.formats.parsing.reading import Reading

_SPACE = re.compile(r"[ \t\n\r]*+")
_DECODER = json.JSONDecoder(object_pairs_hook=unique_keys)


def json_values(path: Path, reading: Reading) -> Iterator[tuple[str, Any]]:
    """Yield ``(file:line, value)``; a second value in a line has its number behind: ``file:1[2]``.

    What is no JSON is reported as an error with its line, and ends the file: nothing behind it can be trusted.
    """
    lines = read_lines(path, on_defect=lambda error: reading.report(Defect.of(error, "encoding")))
    text = "\n".join(line for _, line in lines)
    position = _skip(text, 0)
    is_array = text.startswith("[", position)
    try:
        yield from _values(text, position + is_array, path, is_array=is_array)
    except json.JSONDecodeError as error:
        reading.fail("unreadable", f"{path}:{error.lineno}", f"no JSON: {error.msg}; an array of posts is expected")
    except RecursionError as error:
        reading.fail("unreadable", str(path), f"no JSON: {error}; an array of posts is expected")


def _values(text: str, position: int, path: Path, *, is_array: bool) -> Iterator[tuple[str, Any]]:
    line, counted, number, line_before = 1, 0, 0, 0
    while True:
        position = _skip(text, position)
        if position == len(text) and not is_array:
            return
        if is_array and text.startswith("]", position):
            _check_end(text, position + 1)
            return
        value, end = _decoded(text, position)
        line, counted, number = line + text.count("\n", counted, position), position, number + 1
        yield f"{path}:{line}" + (f"[{number}]" if line == line_before else ""), value
        line_before = line
        position = _after_comma(text, _skip(text, end)) if is_array else end


def _decoded(text: str, position: int) -> tuple[Any, int]:
    """The value at a position and its end; whatever is wrong with it is an error at a line."""
    try:
        return _DECODER.raw_decode(text, position)
    except json.JSONDecodeError:
        raise
    except ValueError as error:
        raise json.JSONDecodeError(str(error), text, position) from error


def _after_comma(text: str, position: int) -> int:
    if text.startswith(",", position):
        if text.startswith("]", _skip(text, position + 1)):
            raise json.JSONDecodeError("a comma before the end of the array", text, position)
        return position + 1
    if not text.startswith("]", position):
        raise json.JSONDecodeError("a comma or the end of the array is missing", text, position)
    return position


def _check_end(text: str, position: int) -> None:
    if (end := _skip(text, position)) != len(text):
        raise json.JSONDecodeError("more behind the end of the array", text, end)


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position
