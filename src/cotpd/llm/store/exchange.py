"""The answers of a request store as JSON lines, to publish a run or to replay one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from cotpd.core.errors import DataError
from cotpd.core.files import atomic_writer, json_line, read_jsonl
from cotpd.llm.store.request_store import Kept, RequestStore

_KEPT = TypeAdapter(Kept)
_TOGETHER = 1_000


def export_answers(store: RequestStore, path: Path) -> int:
    """Write every answer as ``{key, endpoint, model, answer, rejected}``, by key: their number."""
    count = 0
    with atomic_writer(path) as stream:
        for kept in store:
            stream.write(json_line(asdict(kept)).encode())
            count += 1
    return count


def import_answers(store: RequestStore, path: Path) -> int:
    """Take over the answers that the store lacks: their number. Raises `DataError` with file:line for other rows."""
    rows, added = _read(path), 0
    while group := list(islice(rows, _TOGETHER)):
        new = [kept for kept in group if store.find(kept.key) is None]
        store.add(new)
        added += len(new)
    return added


def _read(path: Path) -> Iterator[Kept]:
    for where, row in read_jsonl(path):
        try:
            kept = _KEPT.validate_python(row)
            "".join((kept.key, kept.endpoint, kept.model, kept.rejected or "")).encode()
        except ValueError as error:
            raise DataError(f"not an answer that cotpd store exported ({_first(error)})", where=where) from error
        yield kept


def _first(error: ValueError) -> str:
    """The first defect of a row, whose names may also hold halves of characters."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
