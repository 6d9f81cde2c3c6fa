"""The request store: every answer that a model gave, found again by the key of its request.

A store is one SQLite file with one writing process. A row is only served if its digest matches, so a flipped bit is
never taken for an answer. Rejected answers and failed attempts are recorded for audit.
"""

from __future__ import annotations

import math
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cotpd.core.errors import StoreError
from cotpd.llm.language_model import Answer
from cotpd.llm.store.answer_json import MAX_TOKENS, answer_from_json, answer_to_json
from cotpd.llm.store.salvage import digest_of
from cotpd.llm.store.sqlite_file import open_store

_SYNC_EVERY = 1.0
_COLUMNS = "key, endpoint, model, answer, rejected, digest"


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """One answer in the store. ``rejected`` is the reason why it could not be used, None if it could."""

    key: str
    endpoint: str
    model: str
    answer: Answer
    rejected: str | None = None


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """One attempt without a usable answer. ``answer`` is the rejected answer, None if the request failed."""

    key: str
    reason: str
    answer: Answer | None = None


@dataclass(frozen=True, slots=True)
class StoreStatistics:
    """The contents of a store for one model at one endpoint."""

    endpoint: str
    model: str
    answers: int
    rejected: int
    prompt_tokens: int
    completion_tokens: int


class RequestStore:
    """A request store.

    Args:
        path: The file, created if it does not exist. Without a path the store is in memory.
        read_only: Open the file for reading. A file that cannot be written is always opened for reading.

    Attributes:
        salvaged: The number of answers recovered from a damaged file, which is set aside; None if it was intact.
        num_damaged: The number of damaged rows met so far.

    Raises:
        StoreError: If another process writes to the store, a newer version wrote it, the file is not a store, or it
            cannot be opened, for example because the disk is full.
    """

    def __init__(self, path: Path | None = None, *, read_only: bool = False) -> None:
        self._file = open_store(path, read_only=read_only)
        self.path, self.read_only, self.salvaged = path, self._file.read_only, self._file.salvaged
        self.num_damaged = 0
        self._connection = self._file.connection
        self._connection.text_factory = lambda data: data.decode("utf-8", "replace")
        self._lock = threading.Lock()
        self._synced = -math.inf

    def find(self, key: str) -> StoredAnswer | None:
        """Return the answer with this key; None if there is none or its row is damaged."""
        row = self._select(f"SELECT {_COLUMNS} FROM answers WHERE key = ?", key)
        return self._read(row) if row else None

    def add(
        self, answers: Iterable[StoredAnswer], failed: Iterable[FailedAttempt] = (), *, returned: Iterable[str] = ()
    ) -> None:
        """Store answers and failed attempts in one transaction. An answer replaces an older one with its key.

        Answered questions leave their batch, and so do the keys in ``returned``, which a batch returned without an
        answer. A failed attempt alone does not end the batch of its question, because it may come from another run.

        After the return, the answers survive the end of this process in any way. They survive a loss of power after at
        most one more second of writing, or after the store is closed.

        Raises:
            StoreError: If the disk is full or the store is read-only.
        """
        rows = [(*_row(each), time.time()) for each in answers]
        events = [(each.key, each.reason, answer_to_json(each.answer), time.time()) for each in failed]
        with self._transaction() as connection:
            connection.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            connection.executemany("INSERT INTO mishaps VALUES (?, ?, ?, ?)", events)
            finished = [*(row[:1] for row in rows), *((key,) for key in returned)]
            connection.executemany("DELETE FROM batches WHERE key = ?", finished)

    def add_to_batch(self, keys: Iterable[str], batch: str) -> None:
        """Record that questions are in a batch, until they are answered, returned without an answer or forgotten."""
        rows = [(key, batch, time.time()) for key in keys]
        with self._transaction() as connection:
            connection.executemany("INSERT OR REPLACE INTO batches VALUES (?, ?, ?)", rows)

    def is_in_batch(self, key: str) -> bool:
        """Return True if a question is in a batch whose result has not been read."""
        return self._select("SELECT 1 FROM batches WHERE key = ?", key) is not None

    def forget_batch(self, batch: str) -> int:
        """Forget a batch that was never submitted or is lost; return the number of its open questions."""
        with self._transaction() as connection:
            return connection.execute("DELETE FROM batches WHERE batch = ?", (batch,)).rowcount

    def batches(self) -> dict[str, int]:
        """Return the number of open questions of each batch."""
        return dict(
            self._rows("SELECT batch, COUNT(*) FROM batches WHERE typeof(batch) = 'text' GROUP BY batch ORDER BY batch")
        )

    def __iter__(self) -> Iterator[StoredAnswer]:
        """Yield every intact answer, sorted by key."""
        for row in self._rows(f"SELECT {_COLUMNS} FROM answers ORDER BY key"):
            if stored := self._read(row):
                yield stored

    def failed_attempts(self) -> Iterator[FailedAttempt]:
        """Yield the rejected answers and failed requests in their order; damaged answers are counted and omitted."""
        for key, reason, text in self._rows("SELECT key, reason, answer FROM mishaps ORDER BY rowid"):
            try:
                answer = answer_from_json(text) if text else None
            except (ValueError, TypeError, RecursionError):
                answer, self.num_damaged = None, self.num_damaged + 1
            yield FailedAttempt(key, reason, answer)

    def statistics(self) -> list[StoreStatistics]:
        """Return the contents of the store by endpoint and model, without the tokens of damaged answers."""
        tokens = map(_sum_of, ("prompt_tokens", "completion_tokens"))
        query = f"""SELECT endpoint, model, COUNT(*), COUNT(rejected), {", ".join(tokens)}
                    FROM answers WHERE typeof(endpoint) = 'text' AND typeof(model) = 'text'
                    GROUP BY endpoint, model ORDER BY endpoint, model"""
        return [StoreStatistics(*row) for row in self._rows(query)]

    def close(self) -> None:
        """Close the file and release its lock."""
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
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Commit on exit. Only the first transaction of each second waits for the disk."""
        is_due = time.monotonic() >= self._synced + _SYNC_EVERY
        try:
            with self._lock:
                self._connection.execute(f"PRAGMA synchronous = {'FULL' if is_due else 'NORMAL'}")
                with self._connection:
                    yield self._connection
        except sqlite3.Error as error:
            reason = "the store is read-only" if self.read_only else f"{error}; free disk space and run again"
            raise StoreError(f"{self.path}: answers cannot be stored: {reason}") from error
        self._synced = time.monotonic() if is_due else self._synced

    def _read(self, row: tuple[Any, ...]) -> StoredAnswer | None:
        *values, digest = row
        texts = values if values[-1] is not None else values[:-1]
        if digest == digest_of(values) and all(isinstance(text, str) for text in texts):
            key, endpoint, model, answer, rejected = values
            with suppress(ValueError, RecursionError):
                return StoredAnswer(key, endpoint, model, answer_from_json(answer), rejected)
        self.num_damaged += 1
        return None


def _sum_of(name: str) -> str:
    """Return the SQL for the sum of a number in the answers; odd values of damaged answers count as 0."""
    number = f"answer ->> '{name}'"
    is_number = f"json_valid(answer) AND json_type(answer, '$.{name}') = 'integer'"
    return f"IFNULL(SUM({number}) FILTER (WHERE {is_number} AND {number} BETWEEN 0 AND {MAX_TOKENS}), 0)"


def _row(stored: StoredAnswer) -> tuple[str | None, ...]:
    values = (stored.key, stored.endpoint, stored.model, answer_to_json(stored.answer), stored.rejected)
    return (*values, digest_of(values))
