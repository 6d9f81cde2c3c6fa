"""The formats of corpora, one file each; which one a file has is seen from its name and its first line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from cotpd.core.errors import DataError
from cotpd.core.files import read_lines
from cotpd.corpus.formats import jsonl, twitter
from cotpd.corpus.formats.row import Reading, Row

SUFFIXES = (".txt", ".conll", ".bio", ".tsv", ".jsonl")
"""The endings that a corpus file may have."""


def read_rows(path: Path, reading: Reading) -> Iterator[Row]:
    """The rows of a file in whatever format it has. Raises `DataError` for a format that is not known."""
    return _reader(path)(path, reading)


def _reader(path: Path) -> Callable[[Path, Reading], Iterator[Row]]:
    if path.suffix == ".jsonl":
        return jsonl.read
    if path.suffix in SUFFIXES and not _first_line(path).startswith(("{", "[", "<", "-DOCSTART-")):
        return twitter.read
    raise DataError("a format that is not known; give IMGID blocks of word, tab, tag (.txt) or .jsonl", where=str(path))


def _first_line(path: Path) -> str:
    lines = read_lines(path, on_defect=lambda error: None)
    return next((line for _, line in lines if line.strip()), "")
