"""The request store: every answer that was paid for, found again by all that decided it.

One SQLite file, one writing process. A row is served only while its digest fits, so that a flipped bit is never taken
for an answer; what was rejected or failed is kept for audit and never served as an answer.
"""

from __future__ import annotations

import json
import math
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cotpd.core.errors import StoreError
from cotpd.llm.language_model import Answer
from cotpd.llm.store.salvage import digest_of
from cotpd.llm.store.sqlite_file import open_store

_SYNC_EVERY = 1.0
_COLUMNS = "key, endpoint, model, answer, rejected, digest"


@dataclass(frozen=True, slots=True)
class Kept:
    """One answer in the store. ``rejected``: why it could not be used, None where it could."""

    key: str
    endpoint: str
    model: str
    answer: Answer
    rejected: str | None = None


@dataclass(frozen=True, slots=True)
class Mishap:
    """One attempt that gave nothing usable: ``answer`` is what was said, None where nothing was."""

    key: str
    reason: str
    answer: Answer | None = None


@dataclass(frozen=True, slots=True)
class StoreStatistics:
    """What a store holds for one model at one endpoint."""

    endpoint: str
    model: str
    answers: int
    rejected: int
    prompt_tokens: int
    completion_tokens: int


class RequestStore:
    """The store in ``path``, made where there is none; in memory without a path.

    ``wait``: where another process writes the store, wait for it instead of raising. ``read_only``: also chosen where
    the file cannot be written. A damaged file is set aside and what can be read of it is kept; ``salvaged`` then
    counts its answers, and is None otherwise.

    Raises `StoreError` for a store that another process writes, a newer one, a file that is none, and one that cannot
    be opened: the disk is full, or somebody reads it.
    """

    def __init__(self, path: Path | None = None, *, wait: bool = False, read_only: bool = False) -> None:
        self._file = open_store(path, wait=wait, read_only=read_only)
        self.path, self.read_only, self.salvaged = path, self._file.read_only, self._file.salvaged
        self.num_damaged = 0
        self._connection = self._file.connection
        self._connection.text_factory = lambda data: data.decode("utf-8", "replace")
        self._lock = threading.Lock()
        self._synced = -math.inf

    def find(self, key: str) -> Kept | None:
        """What is kept under a key, if it is whole; a damaged row counts in ``num_damaged``."""
        row = self._select(f"SELECT {_COLUMNS} FROM answers WHERE key = ?", key)
        return self._read(row) if row else None

    def add(self, kept: Iterable[Kept], mishaps: Iterable[Mishap] = (), *, returned: Iterable[str] = ()) -> None:
        """Keep answers and mishaps, all or none; an answer takes the place of an older one.

        Questions that are answered are out in no batch any more, nor are those of these keys that it ``returned``
        without an answer; a mishap alone may be another attempt's, and says nothing of the batch.

        On return they outlive this process however it ends, and within a second of further writing, or when the store
        is closed, also a loss of power.

        Raises `StoreError` when the disk is full or the store is read-only.
        """
        rows = [(*_row(each), time.time()) for each in kept]
        events = [(each.key, each.reason, _json(each.answer), time.time()) for each in mishaps]
        with self._writing() as connection:
            connection.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            connection.executemany("INSERT INTO mishaps VALUES (?, ?, ?, ?)", events)
            back = [*(row[:1] for row in rows), *((key,) for key in returned)]
            connection.executemany("DELETE FROM batches WHERE key = ?", back)

    def send_out(self, keys: Iterable[str], batch: str) -> None:
        """Note that questions stand in a batch, until they are answered, returned without an answer or called back."""
        rows = [(key, batch, time.time()) for key in keys]
        with self._writing() as connection:
            connection.executemany("INSERT OR REPLACE INTO batches VALUES (?, ?, ?)", rows)

    def is_out(self, key: str) -> bool:
        """Whether a question stands in a batch."""
        return self._select("SELECT 1 FROM batches WHERE key = ?", key) is not None

    def call_back(self, batch: str) -> int:
        """Forget a batch that was never handed in, or is lost: the number of questions that may be asked again."""
        with self._writing() as connection:
            return connection.execute("DELETE FROM batches WHERE batch = ?", (batch,)).rowcount

    def batches(self) -> dict[str, int]:
        """The batches that are out and how many of their questions are open."""
        return dict(self._rows("SELECT batch, COUNT(*) FROM batches GROUP BY batch ORDER BY batch"))

    def __iter__(self) -> Iterator[Kept]:
        """Every whole answer, by key."""
        for row in self._rows(f"SELECT {_COLUMNS} FROM answers ORDER BY key"):
            if kept := self._read(row):
                yield kept

    def mishaps(self) -> Iterator[Mishap]:
        """What was rejected and what failed, in its order; a damaged answer is left out and counts."""
        for key, reason, text in self._rows("SELECT key, reason, answer FROM mishaps ORDER BY rowid"):
            try:
                answer = _answer(text) if text else None
            except (ValueError, TypeError):
                answer, self.num_damaged = None, self.num_damaged + 1
            yield Mishap(key, reason, answer)

    def statistics(self) -> list[StoreStatistics]:
        """One row for each model and endpoint; the tokens of damaged answers do not count."""
        valid = "FILTER (WHERE json_valid(answer))"
        tokens = (f"IFNULL(SUM(answer ->> '{name}_tokens') {valid}, 0)" for name in ("prompt", "completion"))
        counts = f"""SELECT endpoint, model, COUNT(*), COUNT(rejected), {", ".join(tokens)}
                     FROM answers GROUP BY endpoint, model ORDER BY endpoint, model"""
        return [StoreStatistics(*row) for row in self._rows(counts)]

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def _select(self, query: str, key: str) -> tuple[Any, ...] | None:
        with self._reading(), self._lock:
            row: tuple[Any, ...] | None = self._connection.execute(query, (key,)).fetchone()
        return row

    def _rows(self, query: str) -> Iterator[tuple[Any, ...]]:
        with self._reading():
            yield from self._connection.execute(query)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: cannot be read ({error}); run `cotpd store --repair`") from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction."""
        is_due = time.monotonic() >= self._synced + _SYNC_EVERY
        try:
            with self._lock:
                self._connection.execute(f"PRAGMA synchronous = {'FULL' if is_due else 'NORMAL'}")
                with self._connection:
                    yield self._connection
        except sqlite3.Error as error:
            what = "it is read-only" if self.read_only else f"{error}; free the disk and run again"
            raise StoreError(f"{self.path}: nothing can be kept: {what}") from error
        self._synced = time.monotonic() if is_due else self._synced

    def _read(self, row: tuple[Any, ...]) -> Kept | None:
        *values, digest = row
        if digest == digest_of(values):
            key, endpoint, model, answer, rejected = values
            return Kept(key, endpoint, model, _answer(answer), rejected)
        self.num_damaged += 1
        return None


def _row(kept: Kept) -> tuple[str | None, ...]:
    values = (kept.key, kept.endpoint, kept.model, _json(kept.answer), kept.rejected)
    return (*values, digest_of(values))


def _answer(text: str) -> Answer:
    return Answer(**json.loads(text))


def _json(answer: Answer | None) -> str | None:
    return json.dumps(asdict(answer)) if answer else None
