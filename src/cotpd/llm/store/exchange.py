"""Export and import of the answers in a request store as JSON lines, to publish or to replay a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from cotpd.core.errors import DataError
from cotpd.core.files import atomic_writer, json_line, read_jsonl
from cotpd.llm.store.answer_json import check_counts
from cotpd.llm.store.request_store import RequestStore, StoredAnswer

_STORED_ANSWER = TypeAdapter(StoredAnswer)
_GROUP_SIZE = 1_000


def export_answers(store: RequestStore, path: Path) -> int:
    """Write every answer as ``{key, endpoint, model, answer, rejected}``, sorted by key; return their number."""
    count = 0
    with atomic_writer(path) as stream:
        for stored in store:
            stream.write(json_line(asdict(stored)).encode())
            count += 1
    return count


def import_answers(store: RequestStore, path: Path) -> int:
    """Add the answers that the store lacks; return their number.

    Raises:
        DataError: With file:line, for a row that `export_answers` cannot have written.
    """
    rows, num_added = _read(path), 0
    while group := list(islice(rows, _GROUP_SIZE)):
        new = [stored for stored in group if store.find(stored.key) is None]
        store.add(new)
        num_added += len(new)
    return num_added


def _read(path: Path) -> Iterator[StoredAnswer]:
    for where, row in read_jsonl(path):
        try:
            check_counts(row.get("answer"))
            stored = _STORED_ANSWER.validate_python(row)
            "".join((stored.key, stored.endpoint, stored.model, stored.rejected or "")).encode()
        except ValueError as error:
            raise DataError(f"not an answer from `cotpd store --export` ({_explain(error)})", where=where) from error
        yield stored


def _explain(error: ValueError) -> str:
    """Return the first problem of a row; its strings may hold lone surrogates."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
