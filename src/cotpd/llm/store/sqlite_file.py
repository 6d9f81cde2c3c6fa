"""The SQLite file of a request store: locked by its writer, checked when opened, salvaged when damaged."""

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
_DAMAGE_CODES = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}
"""Error codes that mean damage, the last for a missing table. A full disk or a busy file has other codes."""
_UNWRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS}
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class StoreFile:
    """An open store. ``resources`` closes the connection and releases the lock; ``salvaged``: see `RequestStore`."""

    connection: sqlite3.Connection
    read_only: bool
    salvaged: int | None
    resources: ExitStack

    def close(self) -> None:
        """Close the connection and release the lock. The write-ahead log is merged first, so that one file remains."""
        if not self.read_only:
            with suppress(sqlite3.OperationalError):  # another process reads it, or the disk is full: keep the log
                self.connection.execute("PRAGMA journal_mode = DELETE")
        self.resources.close()


def open_store(path: Path | None, *, read_only: bool) -> StoreFile:
    """Open the store in ``path``, or a new one in memory. Raises `StoreError`, see `RequestStore`."""
    path = path and path.resolve()
    with ExitStack() as stack:
        if path and not read_only:
            read_only = not (_is_writable(path) and _lock(path, stack))
        try:
            connection, salvaged = _connect(path, read_only=read_only)
        except (sqlite3.Error, OSError) as error:
            advice = "free disk space, or wait for the process that uses it, and run again"
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
    _refuse_other_files(path)
    if intact := _open_intact(path):
        return intact, None
    num_saved = _rebuild(path)
    return _open(path), num_saved


def _is_writable(path: Path) -> bool:
    return not path.exists() or os.access(path, os.W_OK)


def _lock(path: Path, stack: ExitStack) -> bool:
    """Lock the store for writing; return False if the file system is read-only.

    The kernel releases the lock when the process ends in any way.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        if error.errno in _UNWRITABLE:
            return False
        raise StoreError(f"{path}: cannot be locked ({error.strerror}); choose another directory") from error
    stack.callback(os.close, handle)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(handle, 200, 0).decode("utf-8", "replace").strip() or "another process"
        advice = "wait until it ends, or choose another store with --store"
        raise StoreError(f"{path}: {holder} is writing to this store; {advice}") from error
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
    """Open with a write-ahead log, which survives a killed process. The writer decides when it is synced.

    SQLite before 3.51.3 may corrupt a log that several connections write; the lock admits only one.
    """
    with ExitStack() as stack:
        connection = stack.enter_context(closing(sqlite3.connect(path, check_same_thread=False)))
        connection.execute("PRAGMA journal_mode = WAL")
        stack.pop_all()
        return connection


def _open_read_only(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        raise StoreError(f"{path}: there is no request store, and this directory is read-only; choose another path")
    _refuse_other_files(path)
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)
    try:
        _check_version(connection, path)
    except StoreError:
        connection.close()
        raise
    except sqlite3.DatabaseError as error:
        connection.close()
        if not _is_damage(error):
            raise
        raise StoreError(f"{path}: damaged ({error}); open a writable copy to salvage it") from error
    return connection


def _refuse_other_files(path: Path) -> None:
    """Raise `StoreError` for a file of another kind, which must not be moved. One of our two marks may be damaged."""
    with path.open("rb") as stream:
        header = stream.read(100)
    ours = header[_APPLICATION_BYTES] == _APPLICATION.to_bytes(4, "big")
    if not ours and (not header.startswith(MAGIC) or _is_readable(path)):
        raise StoreError(f"{path}: not a request store; choose another file")


def _is_readable(path: Path) -> bool:
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        try:
            connection.execute("SELECT 1 FROM sqlite_master").fetchone()
        except sqlite3.DatabaseError as error:
            return not _is_damage(error)
    return True


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    return error.sqlite_errorcode & 0xFF in _DAMAGE_CODES


def _open_intact(path: Path) -> sqlite3.Connection | None:
    """Return a connection to an intact store, None for a damaged one. Raises `StoreError` for a newer version."""
    try:
        with closing(sqlite3.connect(path)) as connection:
            _check_version(connection, path)
            is_intact = connection.execute("PRAGMA quick_check").fetchall() == [("ok",)]
        return _open(path) if is_intact else None
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
    """Copy the readable rows of a damaged store to a new one and set the old one aside; return the answers saved."""
    with TemporaryDirectory(dir=path.parent) as directory:
        fresh = Path(directory) / path.name
        with closing(_create(fresh)) as connection:
            num_saved = salvage(path, connection)
        fresh.rename(_saved(path))
    aside = _swap(path)
    _log.warning("%s was damaged; it was moved to %s, and %d of its answers were saved", path, aside, num_saved)
    return num_saved


def _saved(path: Path) -> Path:
    """Return the path of the rebuilt store until it takes the place of the damaged one."""
    return path.with_name(f"{path.name}.saved")


def _swap(path: Path) -> Path:
    """Move the damaged store aside and the rebuilt one into its place; if interrupted, the next opening continues."""
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
