"""The formats of corpora, one file each; which one a file has is seen from its name and its first line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cotpd.core.errors import DataError
from cotpd.core.files import read_lines
from cotpd.core.records import Example
from cotpd.corpus.formats import jsonl, mnre, twitter
from cotpd.corpus.formats.row import Reading, Row

SUFFIXES = (".txt", ".conll", ".bio", ".tsv", ".jsonl")
"""The endings that a corpus file may have."""


@dataclass(frozen=True, slots=True)
class Format:
    """How a format is read and written, and the ending of its files.

    ``write`` returns how many values of each kind the format cannot hold.
    """

    read: Callable[[Path, Reading], Iterator[Row]]
    write: Callable[[Path, Iterable[Example]], Counter[str]]
    suffix: str


FORMATS = {
    "jsonl": Format(jsonl.read, jsonl.write, ".jsonl"),
    "mnre": Format(mnre.read, mnre.write, ".txt"),
    "twitter": Format(twitter.read, twitter.write, ".txt"),
}
"""Every format by its name."""


def read_rows(path: Path, reading: Reading) -> Iterator[Row]:
    """The rows of a file in whatever format it has. Raises `DataError` for a format that is not known."""
    return FORMATS[recognise(path)].read(path, reading)


def recognise(path: Path) -> str:
    """The name of the format that a file has. Raises `DataError` for one that is not known."""
    if path.suffix == ".jsonl":
        return "jsonl"
    if path.suffix in SUFFIXES:
        first = _first_line(path)
        if first.startswith("{"):
            return "mnre"
        if not first.startswith(("[", "<", "-DOCSTART-")):
            return "twitter"
    raise DataError("a format that is not known; give IMGID blocks of word, tab, tag (.txt) or .jsonl", where=str(path))


def _first_line(path: Path) -> str:
    lines = read_lines(path, on_defect=lambda error: None)
    return next((line for _, line in lines if line.strip()), "")
