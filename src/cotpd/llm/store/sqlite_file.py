"""The file of a request store: locked by the one process that writes it, checked when opened, salvaged when damaged."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from cotpd.core.errors import StoreError
from cotpd.core.files import sync_directory
from cotpd.llm.store.salvage import MAGIC, salvage

_APPLICATION = 0x436F5450
_VERSION = 1
_APPLICATION_BYTES = slice(68, 72)  # of the header, https://www.sqlite.org/fileformat.html
_SCHEMA = f"""
    BEGIN;
    CREATE TABLE answers (key TEXT PRIMARY KEY, endpoint TEXT NOT NULL, model TEXT NOT NULL, answer TEXT NOT NULL,
                          rejected TEXT, digest TEXT NOT NULL, at REAL NOT NULL);
    CREATE TABLE mishaps (key TEXT NOT NULL, reason TEXT NOT NULL, answer TEXT, at REAL NOT NULL);
    CREATE TABLE batches (key TEXT PRIMARY KEY, batch TEXT NOT NULL, at REAL NOT NULL);
    PRAGMA application_id = {_APPLICATION};
    PRAGMA user_version = {_VERSION};
    COMMIT;
"""
_TELLS_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}
"""What SQLite says of damage, the last of a missing table; a full disk or a busy file is none."""
_UNWRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS}
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class StoreFile:
    """An open store: closing it lets other processes in. ``salvaged``: see `RequestStore`."""

    connection: sqlite3.Connection
    read_only: bool
    salvaged: int | None
    held: ExitStack

    def close(self) -> None:
        """Make it one file again, which also a read-only disk can hold; close the connection, release the lock."""
        if not self.read_only:
            with suppress(sqlite3.OperationalError):  # a reader is at it, or the disk is full: the log stays
                self.connection.execute("PRAGMA journal_mode = DELETE")
        self.held.close()


def open_store(path: Path | None, *, wait: bool, read_only: bool) -> StoreFile:
    """The store in ``path``, or a new one in memory. Raises `StoreError`, see `RequestStore`."""
    path = path and path.resolve()
    with ExitStack() as stack:
        if path and not read_only:
            read_only = not (_is_writable(path) and _lock(path, stack, wait=wait))
        try:
            connection, salvaged = _connect(path, read_only=read_only)
        except (sqlite3.Error, OSError) as error:
            advice = "free the disk, or wait for who uses it, and run again"
            raise StoreError(f"{path}: cannot be opened ({error}); {advice}") from error
        stack.enter_context(closing(connection))
        return StoreFile(connection, read_only, salvaged, stack.pop_all())


def _connect(path: Path | None, *, read_only: bool) -> tuple[sqlite3.Connection, int | None]:
    if path is None:
        return _create(":memory:"), None
    if read_only:
        return _open_read_only(path), None
    if _saved(path).exists():
        _swap(path)
    if not path.exists() or not path.stat().st_size:
        return _begin(path), None
    _refuse_strangers(path)
    if whole := _open_whole(path):
        return whole, None
    num_saved = _rebuild(path)
    return _open(path), num_saved


def _is_writable(path: Path) -> bool:
    return not path.exists() or os.access(path, os.W_OK)


def _lock(path: Path, stack: ExitStack, *, wait: bool) -> bool:
    """Become the one who writes; False where nobody can. The kernel lets go when the process ends, however it ends."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        if error.errno in _UNWRITABLE:
            return False
        raise StoreError(f"{path}: cannot be locked ({error.strerror}); choose another place") from error
    stack.callback(os.close, handle)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(handle, 200, 0).decode("utf-8", "replace").strip() or "another process"
        if not wait:
            raise StoreError(f"{path}: {holder} is writing to it; wait for it, or name another store") from error
        _log.info("%s: waiting for %s", path, holder)
        fcntl.flock(handle, fcntl.LOCK_EX)
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"process {os.getpid()} on {os.uname().nodename}\n".encode(), 0)
    return True


def _begin(path: Path) -> sqlite3.Connection:
    _create(path).close()
    sync_directory(path.parent)
    return _open(path)


def _create(path: Path | str) -> sqlite3.Connection:
    with ExitStack() as stack:
        connection = stack.enter_context(closing(sqlite3.connect(path, check_same_thread=False)))
        connection.executescript(_SCHEMA)
        stack.pop_all()
        return connection


def _open(path: Path) -> sqlite3.Connection:
    """With a write-ahead log: a killed process loses nothing of it. Who writes says when it is synced.

    SQLite before 3.51.3 may corrupt one that several connections write; here the lock lets in one.
    """
    with ExitStack() as stack:
        connection = stack.enter_context(closing(sqlite3.connect(path, check_same_thread=False)))
        connection.execute("PRAGMA journal_mode = WAL")
        stack.pop_all()
        return connection


def _open_read_only(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        raise StoreError(f"{path}: there is no store, and none can be made here; choose another place")
    _refuse_strangers(path)
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)
    try:
        _check_version(connection, path)
    except sqlite3.DatabaseError as error:
        connection.close()
        if not _is_damage(error):
            raise
        raise StoreError(f"{path}: damaged ({error}); open it where it can be written, to salvage it") from error
    return connection


def _refuse_strangers(path: Path) -> None:
    """A file without our marks is not ours to move away. One of the two may be damaged."""
    with path.open("rb") as stream:
        header = stream.read(100)
    ours = header[_APPLICATION_BYTES] == _APPLICATION.to_bytes(4, "big")
    if not ours and (not header.startswith(MAGIC) or _is_readable(path)):
        raise StoreError(f"{path}: not a request store; name another file")


def _is_readable(path: Path) -> bool:
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        try:
            connection.execute("SELECT 1 FROM sqlite_master").fetchone()
        except sqlite3.DatabaseError as error:
            return not _is_damage(error)
    return True


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    return error.sqlite_errorcode & 0xFF in _TELLS_DAMAGE


def _open_whole(path: Path) -> sqlite3.Connection | None:
    """A connection to a store without damage, None for one with. Raises `StoreError` for a newer one."""
    try:
        with closing(sqlite3.connect(path)) as connection:
            _check_version(connection, path)
            whole = connection.execute("PRAGMA quick_check").fetchall() == [("ok",)]
        return _open(path) if whole else None
    except sqlite3.DatabaseError as error:
        if not _is_damage(error):
            raise
        return None


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    [version] = connection.execute("PRAGMA user_version").fetchone()
    if version > _VERSION:
        raise StoreError(f"{path}: written by a newer cotpd (format {version}); upgrade cotpd to use it")
    for table in ("answers", "mishaps", "batches"):
        connection.execute(f"SELECT 1 FROM {table} LIMIT 1")


def _rebuild(path: Path) -> int:
    """Take over all that can be read of a damaged store, then set it aside: the number of answers saved."""
    with TemporaryDirectory(dir=path.parent) as directory:
        fresh = Path(directory) / path.name
        with closing(_create(fresh)) as connection:
            num_saved = salvage(path, connection)
        fresh.rename(_saved(path))
    aside = _swap(path)
    _log.warning("%s was damaged: it is now %s, and %d of its answers were saved", path, aside, num_saved)
    return num_saved


def _saved(path: Path) -> Path:
    """Where all that was saved of a damaged store waits to take its place."""
    return path.with_name(f"{path.name}.saved")


def _swap(path: Path) -> Path:
    """Put what was saved in the place of the damaged store; interrupted, the next opening goes on with it."""
    aside = next(name for name in _names_aside(path) if not name.exists())
    for ending in ("-journal", "-wal", "-shm", ""):
        part = path.with_name(path.name + ending)
        if part.exists():
            part.rename(aside.with_name(aside.name + ending))
    _saved(path).rename(path)
    sync_directory(path.parent)
    return aside


def _names_aside(path: Path) -> Iterator[Path]:
    return (path.with_name(f"{path.name}.damaged-{number}") for number in count(1))
