"""The format of MNRE: one Python literal a line, ``{token, h: {name, pos}, t: {name, pos}, img_id, relation}``.

Each line is one pair of names in a post; ``pos`` is ``[start, end)`` in words. Lines are literals of strings, numbers,
lists and dictionaries; anything else is refused before it is parsed, and so is what is long or deeply nested.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

from cotpd.core.errors import DataError
from cotpd.core.files import write_atomic
from cotpd.core.records import NO_RELATION, Example, Relation, Span
from cotpd.corpus.defects import quoted
from cotpd.corpus.formats.parsing.reading import Id, Reading, Row, distinct_ids

MAX_LINE, MAX_DEPTH = 500_000, 8
"""Characters and nested brackets that a line may have; the longest of MNRE has 415 and 3."""

LABELS = "rel2id.json"
"""The file of the corpus that lists its relations; where it lies beside, labels are checked against it."""

_STRING = re.compile(r"""[uUrR]?(?:'(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+")""")
_PLAIN = re.compile(r"(?:[,:\[(]\s*+-(?=\d)|[\d\s,:\[\]{}()]|None|True|False)*+")


def read(path: Path, reading: Reading) -> Iterator[Row]:
    """Read the lines of a file in order, each as an example with one relation and no entities.

    Its id is ``<file name>:<line>``, since several lines share a post. Errors reported: a line that is no such literal
    (left out), an empty word, a span outside its post (left out), a name that is not the words of its span.
    """
    return distinct_ids(_rows(path, reading), reading)


def write(path: Path, examples: Iterable[Example]) -> Counter[str]:
    """Write a line for each relation, any word as it is; returns how many values the format cannot hold.

    Posts without relation cannot be held; those with several come back as several (``grouped relations``).
    """
    losses: Counter[str] = Counter()
    lines = []
    for example in examples:
        lines += [f"{_to_row(example, relation)!r}\n" for relation in example.relations]
        losses["posts without relation"] += not example.relations
        losses["entities"] += len(example.entities)
        losses["grouped relations"] += max(0, len(example.relations) - 1)
        losses["ids"] += bool(example.relations) and example.id != f"{path.stem.strip()}:{len(lines)}"
    write_atomic(path, "".join(lines))
    return +losses


def parse(line: str) -> Any:
    """The value of a Python literal of strings, numbers, None, True, False, lists, tuples, sets and dictionaries.

    Raises `DataError` for anything else, over `MAX_LINE` characters or nested deeper than `MAX_DEPTH`. Runs nothing.
    """
    if len(line) > MAX_LINE:
        raise DataError(f"a line of {len(line):,} characters; at most {MAX_LINE:,} are read")
    rest = _STRING.sub(" ", line)
    if not _PLAIN.fullmatch(rest):
        found = _PLAIN.sub("", rest).strip()
        raise DataError(f"{quoted(found)} is no part of a plain literal; a line holds strings, numbers and brackets")
    if _depth(rest) > MAX_DEPTH:
        raise DataError(f"brackets nested deeper than {MAX_DEPTH}; a line of MNRE has 3 levels")
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(line.strip(), mode="eval")
            _refuse_repeated_keys(tree)
            return ast.literal_eval(tree)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        reason = quoted(str(error).partition("\n")[0])
        raise DataError(f"not a Python literal ({reason}); each line of MNRE is a dictionary") from error


def _refuse_repeated_keys(tree: ast.Expression) -> None:
    """Raise ValueError for a dictionary with a key given twice: Python keeps the last in silence."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            keys = Counter(key.value for key in node.keys if isinstance(key, ast.Constant))
            if twice := [key for key, count in keys.items() if count > 1]:
                raise ValueError(f"the key {twice[0]!r} twice")


_Pair = Annotated[list[int], BeforeValidator(lambda value: list(value) if isinstance(value, tuple) else value)]
_Label = Annotated[str, BeforeValidator(lambda value: NO_RELATION if value is None else value)]


class _Argument(BaseModel):
    model_config = ConfigDict(strict=True)

    name: str
    pos: _Pair


class _Line(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")

    token: list[str]
    h: _Argument
    t: _Argument
    img_id: Id | None = None
    relation: _Label


def _rows(path: Path, reading: Reading) -> Iterator[Row]:
    labels = _known_labels(path, reading)
    for number, text in reading.lines(path):
        where = f"{path}:{number}"
        if not text.strip() or (line := _line(text, where, reading)) is None:
            continue
        if line.model_extra:
            reading.warn("unknown-key", where, f"not read: {', '.join(sorted(line.model_extra))}")
        if labels and line.relation not in labels:
            reading.warn("unknown-relation", where, f"{quoted(line.relation)} is not among those of {LABELS}")
        reading.check_row_words(line.token, where)
        head, tail = _span(line.h, line, where, reading), _span(line.t, line, where, reading)
        if head is not None and tail is not None and reading.has_label(line.relation, where):
            yield Row(_example(line, Relation(head, tail, line.relation), f"{path.stem.strip()}:{number}"), where)


def _line(text: str, where: str, reading: Reading) -> _Line | None:
    try:
        values = parse(text)
    except DataError as error:
        reading.fail("unreadable", where, str(error))
        return None
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        reading.fail("unreadable", where, f"a dictionary of names was expected, found {quoted(repr(values))}")
        return None
    return reading.fitting(values, where, _Line)


def _example(line: _Line, relation: Relation, name: str) -> Example:
    return Example(name, tuple(line.token), relations=(relation,), image_id=line.img_id or None)


def _span(argument: _Argument, line: _Line, where: str, reading: Reading) -> Span | None:
    """The words of a name; what stands there must be the name, or the offsets are another tool's."""
    start, end = argument.pos if len(argument.pos) == 2 else (0, 0)
    if not 0 <= start < end <= len(line.token):
        message = f"pos {argument.pos} does not lie in a post of {len(line.token)} words (the end is exclusive)"
        reading.fail("bad-span", where, message)
        return None
    words = " ".join(line.token[start:end])
    if words != argument.name:
        message = f"the words [{start}, {end}) are {quoted(words)}, not the name {quoted(argument.name)}"
        reading.fail("name-differs", where, message)
    return Span(start, end)


def _known_labels(path: Path, reading: Reading) -> set[str]:
    file = path.parent / LABELS
    if not file.is_file():
        return set()
    try:
        labels = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        reading.warn("unreadable-labels", str(file), f"not JSON ({error}); labels are not checked")
        return set()
    return set(labels) if isinstance(labels, dict) else set()


def _depth(brackets: str) -> int:
    """The deepest nesting of brackets, closed or not."""
    depth = deepest = 0
    for character in brackets:
        if character in "([{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in ")]}":
            depth -= 1
    return deepest


def _to_row(example: Example, relation: Relation) -> dict[str, Any]:
    return {
        "token": list(example.words),
        "h": _to_argument(example, relation.head),
        "t": _to_argument(example, relation.tail),
        "img_id": example.image_id or "",
        "relation": relation.label,
    }


def _to_argument(example: Example, span: Span) -> dict[str, Any]:
    return {"name": example.words_of(span), "pos": [span.start, span.end]}
