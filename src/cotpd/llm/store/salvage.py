"""Recovery of the readable rows of a damaged request store."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from cotpd.core.errors import StoreError
from cotpd.core.files import hash_text
from cotpd.llm.store.schema import foreign_object

MAGIC = b"SQLite format 3\0"
"""The first bytes of every SQLite file."""

_MIN_ROW_BYTES = 64
_MOST_REPLACED = 20
"""Row numbers grow when answers are replaced; a larger one than this many times the possible rows is damage."""
_NUM_DIGEST_VALUES = 5


def digest_of(values: Sequence[object]) -> str:
    """Return the digest of a row of answers: of its key, endpoint, model, answer and rejection."""
    return hash_text(*map(str, values))


def salvage(damaged: Path, connection: sqlite3.Connection) -> int:
    """Copy every readable row into a new store; return the number of answers, each of which matches its digest."""
    num_saved = 0
    with TemporaryDirectory(dir=damaged.parent) as directory:
        copy = Path(directory) / "copy"
        shutil.copyfile(damaged, copy)
        log = damaged.with_name(damaged.name + "-wal")
        if log.exists():
            shutil.copyfile(log, copy.with_name("copy-wal"))
        _repair_header(copy)
        with closing(sqlite3.connect(copy)) as source, connection:
            _refuse_foreign_objects(source, damaged)
            source.text_factory = lambda data: data.decode("utf-8", "replace")
            for row in _readable_rows(source, "answers", copy):
                if digest_of(row[:_NUM_DIGEST_VALUES]) == row[_NUM_DIGEST_VALUES]:
                    inserted = connection.execute("INSERT OR IGNORE INTO answers VALUES (?,?,?,?,?,?,?)", row)
                    num_saved += inserted.rowcount
            for row in _readable_rows(source, "mishaps", copy):
                connection.execute("INSERT OR IGNORE INTO mishaps VALUES (?,?,?,?)", row)
            for row in _readable_rows(source, "batches", copy):
                connection.execute("INSERT OR IGNORE INTO batches VALUES (?,?,?)", row)
    return num_saved


def _refuse_foreign_objects(source: sqlite3.Connection, damaged: Path) -> None:
    with suppress(sqlite3.DatabaseError):  # an unreadable schema runs nothing
        if found := foreign_object(source):
            raise StoreError(f"{damaged}: holds the {found}, which a request store does not have; use another file")


def _repair_header(path: Path) -> None:
    """Restore the first bytes of a file, and the length that its header states: SQLite reads nothing without them."""
    with path.open("r+b") as stream:
        header = stream.read(100)
        length = int.from_bytes(header[16:18], "big") * int.from_bytes(header[28:32], "big")
        stream.truncate(max(path.stat().st_size, min(length, 2 * path.stat().st_size + (1 << 20))))
        stream.seek(0)
        stream.write(MAGIC)


def _readable_rows(source: sqlite3.Connection, table: str, path: Path) -> Iterator[tuple[object, ...]]:
    """Yield every row whose page is intact, one query per row, so that a damaged page hides only its own rows."""
    last = most = path.stat().st_size // _MIN_ROW_BYTES
    with suppress(sqlite3.DatabaseError):
        [(last,)] = source.execute(f"SELECT MAX(rowid) FROM {table}")
    for number in range(1, min(last or 0, _MOST_REPLACED * most) + 1):
        with suppress(sqlite3.DatabaseError):
            yield from source.execute(f"SELECT * FROM {table} NOT INDEXED WHERE rowid = ?", (number,)).fetchall()
