"""MNRE format: one Python literal per line, ``{token, h: {name, pos}, t: {name, pos}, img_id, relation}``.

Each line is one pair of names in a post, and ``pos`` is ``[start, end)`` in words. Lines are never executed: only
literals of strings, numbers, lists and dictionaries are parsed, up to a maximum length and nesting.
"""

from __future__ import annotations

import ast
import json
import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict

from cotpd.core.errors import DataError
from cotpd.core.files import write_atomic
from cotpd.core.records import NO_RELATION, Example, Relation, Span
from cotpd.corpus.defects import quote
from cotpd.corpus.formats.parsing.reading import Id, ParsedExample, Reading, StrictRow, make_ids_unique
from cotpd.corpus.formats.parsing.spans import check_span
from cotpd.corpus.formats.parsing.writing import count_losses

MAX_LINE, MAX_DEPTH = 500_000, 8
"""The maximum number of characters and of nested brackets per line. The maxima in MNRE are 415 and 3."""

LABELS = "rel2id.json"
"""The file that lists the relation labels of the corpus. If it is present, labels are checked against it."""

_STRING = re.compile(r"""[uUrR]?(?:'(?:[^'\\]|\\.)*+(?:'|\\?\Z)|"(?:[^"\\]|\\.)*+(?:"|\\?\Z))""", re.DOTALL)
"""A string, also one that does not end, because a search for the end from each of its quotes would be quadratic."""
_PLAIN = re.compile(r"(?:[,:\[(]\s*+-(?=\d)|[\d\s,:\[\]{}()]|None|True|False)*+")


def read(path: Path, reading: Reading) -> Iterator[ParsedExample]:
    """Read the lines of a file, each as an example with one relation and without entities.

    The id is ``<file name>:<line>``, since several lines share a post. These are errors: a line that is not a literal
    of this shape, a span outside the post (both skipped), an empty word, and a name that differs from its span. A name
    that differs only in case, marks (``@``, ``:``) or an ending within its words is a warning.
    """
    return make_ids_unique(_rows(path, reading), reading)


def write(path: Path, examples: Iterable[Example]) -> Counter[str]:
    """Write one line per relation. Return the number of values that are lost, by kind.

    Posts without a relation cannot be written. A post with several relations is read back as several examples
    (``grouped relations``).
    """
    losses: Counter[str] = Counter()
    lines = []
    for example in examples:
        lines += [f"{_to_row(example, relation)!r}\n" for relation in example.relations]
        losses["posts without relation"] += not example.relations
        count_losses(losses, example, "entities")
        losses["grouped relations"] += max(0, len(example.relations) - 1)
        losses["ids"] += bool(example.relations) and example.id != f"{path.stem.strip()}:{len(lines)}"
    write_atomic(path, "".join(lines))
    return +losses


def parse(line: str) -> Any:
    """Parse a Python literal without executing anything.

    Allowed are strings, numbers, None, True, False, lists, tuples, sets and dictionaries.

    Raises:
        DataError: If the line is anything else, is longer than `MAX_LINE` or nested deeper than `MAX_DEPTH`.
    """
    if len(line) > MAX_LINE:
        raise DataError(
            f"the line has {len(line):,} characters, at most {MAX_LINE:,} are allowed; remove it or split it"
        )
    rest = _STRING.sub(" ", line)
    if not _PLAIN.fullmatch(rest):
        found = _PLAIN.sub("", rest).strip()
        raise DataError(f"{quote(found)} is not allowed in a literal; write only strings, numbers and brackets")
    if _depth(rest) > MAX_DEPTH:
        raise DataError(f"brackets are nested deeper than {MAX_DEPTH} levels; correct the line, MNRE needs only 3")
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(line.strip(), mode="eval")
            _check_keys(tree)
            return ast.literal_eval(tree)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        reason = quote(str(error).partition("\n")[0])
        raise DataError(f"not a Python literal ({reason}); write one dictionary per line") from error


def _check_keys(tree: ast.Expression) -> None:
    """Raise ValueError if a dictionary has a key twice, since Python would silently keep the last value."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            keys = Counter(key.value for key in node.keys if isinstance(key, ast.Constant))
            if repeated := [key for key, count in keys.items() if count > 1]:
                raise ValueError(f"the key {repeated[0]!r} occurs twice")


_Position = Annotated[list[int], BeforeValidator(lambda value: list(value) if isinstance(value, tuple) else value)]
_Label = Annotated[str, BeforeValidator(lambda value: NO_RELATION if value is None else value)]


class _MnreArgument(StrictRow):
    name: str
    pos: _Position


class _MnreLine(StrictRow):
    model_config = ConfigDict(extra="allow")

    token: list[str]
    h: _MnreArgument
    t: _MnreArgument
    img_id: Id | None = None
    relation: _Label


def _rows(path: Path, reading: Reading) -> Iterator[ParsedExample]:
    labels = _known_labels(path, reading)
    for number, text in reading.lines(path):
        where = f"{path}:{number}"
        if not text.strip() or (line := _line(text, where, reading)) is None:
            continue
        reading.report_unknown_keys(line.model_extra or (), where)
        if labels and line.relation not in labels:
            reading.warn("unknown-relation", where, f"the relation {quote(line.relation)} is not listed in {LABELS}")
        reading.check_row_words(line.token, where)
        head, tail = _span(line.h, line, where, reading), _span(line.t, line, where, reading)
        if head is not None and tail is not None and reading.check_label(line.relation, where):
            yield ParsedExample(
                _example(line, Relation(head, tail, line.relation), f"{path.stem.strip()}:{number}"), where
            )


def _line(text: str, where: str, reading: Reading) -> _MnreLine | None:
    try:
        values = parse(text)
    except DataError as error:
        reading.fail("unreadable", where, str(error))
        return None
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        reading.fail(
            "unreadable",
            where,
            f"expected a dictionary with string keys, got {quote(repr(values))}; write one dictionary per line",
        )
        return None
    return reading.validate(values, where, _MnreLine)


def _example(line: _MnreLine, relation: Relation, name: str) -> Example:
    return Example(name, tuple(line.token), relations=(relation,), image_id=line.img_id or None)


def _span(argument: _MnreArgument, line: _MnreLine, where: str, reading: Reading) -> Span | None:
    """Return the span of a name. Report an error if its words differ from the name, which indicates other offsets."""
    if len(argument.pos) != 2:
        reading.fail("bad-span", where, f"expected pos [start, end], got {argument.pos}; correct it")
        return None
    start, end = argument.pos
    if (span := check_span(start, end, len(line.token), where, reading)) is None:
        return None
    words = " ".join(line.token[span.start : span.end])
    if words != argument.name:
        message = f"words [{span.start}, {span.end}) are {quote(words)}, but the name is {quote(argument.name)}"
        if _is_same_name(line.token[span.start : span.end], argument.name):
            reading.warn("name-differs", where, f"{message}; used the words")
        else:
            reading.fail("name-differs", where, f"{message}; correct one of them")
    return span


def _is_same_name(words: list[str], name: str) -> bool:
    """Return True if a name is written in all of these words, apart from case, white space and marks."""
    spelled, parts = _letters(name), [_letters(word) for word in words]
    start = "".join(parts).find(spelled)
    rest = len("".join(parts)) - start - len(spelled)
    is_within = 0 <= start <= max(0, len(parts[0]) - 1) and rest <= max(0, len(parts[-1]) - 1)
    return bool(spelled) and is_within and start + rest <= len(spelled)


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text).casefold()))


def _known_labels(path: Path, reading: Reading) -> set[str]:
    file = path.parent / LABELS
    if not file.is_file():
        return set()
    try:
        labels = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        reading.warn("unreadable-labels", str(file), f"invalid JSON ({error}); skipped the check of relation labels")
        return set()
    return set(labels) if isinstance(labels, dict) else set()


def _depth(brackets: str) -> int:
    """Return the deepest nesting of brackets, balanced or not."""
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
