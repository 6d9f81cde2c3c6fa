"""What can still be read of a damaged request store."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from cotpd.core.files import hash_text

MAGIC = b"SQLite format 3\0"
"""The first bytes of every SQLite file."""

_SMALLEST_ROW = 64
_ANSWER_VALUES = 5


def digest_of(values: Sequence[object]) -> str:
    """The digest that a row of answers carries of its key, endpoint, model, answer and rejection."""
    return hash_text(*map(str, values))


def salvage(damaged: Path, connection: sqlite3.Connection) -> int:
    """Copy every row that can be read into a new store: the number of answers, each of which fits its digest."""
    saved = 0
    with TemporaryDirectory(dir=damaged.parent) as directory:
        copy = Path(directory) / "copy"
        shutil.copyfile(damaged, copy)
        log = damaged.with_name(damaged.name + "-wal")
        if log.exists():
            shutil.copyfile(log, copy.with_name("copy-wal"))
        _mend_header(copy)
        with closing(sqlite3.connect(copy)) as source, connection:
            source.text_factory = lambda data: data.decode("utf-8", "replace")
            for row in _rows(source, "answers", copy):
                if digest_of(row[:_ANSWER_VALUES]) == row[_ANSWER_VALUES]:
                    saved += connection.execute("INSERT OR IGNORE INTO answers VALUES (?,?,?,?,?,?,?)", row).rowcount
            for row in _rows(source, "mishaps", copy):
                connection.execute("INSERT OR IGNORE INTO mishaps VALUES (?,?,?,?)", row)
            for row in _rows(source, "batches", copy):
                connection.execute("INSERT OR IGNORE INTO batches VALUES (?,?,?)", row)
    return saved


def _mend_header(path: Path) -> None:
    """Give a file its first bytes and the length that it claims: without these SQLite reads nothing of it."""
    with path.open("r+b") as stream:
        header = stream.read(100)
        length = int.from_bytes(header[16:18], "big") * int.from_bytes(header[28:32], "big")
        stream.truncate(max(path.stat().st_size, min(length, 2 * path.stat().st_size + (1 << 20))))
        stream.seek(0)
        stream.write(MAGIC)


def _rows(source: sqlite3.Connection, table: str, path: Path) -> Iterator[tuple[object, ...]]:
    """Every row whose page is whole, one at a time: a damaged page hides no more than what lies on it."""
    last = path.stat().st_size // _SMALLEST_ROW
    with suppress(sqlite3.DatabaseError):
        [(last,)] = source.execute(f"SELECT MAX(rowid) FROM {table}")
    for number in range(1, (last or 0) + 1):
        with suppress(sqlite3.DatabaseError):
            yield from source.execute(f"SELECT * FROM {table} NOT INDEXED WHERE rowid = ?", (number,)).fetchall()
