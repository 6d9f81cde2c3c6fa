"""Questions as a batch file in OpenAI's form, and its results: for hosted batch APIs and ``vllm run-batch``.

A batch is handed in by its owner. What stands in one that is still out is noted in the store, so that no second
batch asks it; whatever comes back, in any order and from any number of files, ends that.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cotpd.core.errors import DataError, UsageError
from cotpd.core.files import hash_text, json_line, read_jsonl, writing
from cotpd.llm.call_error import CallError, Fault
from cotpd.llm.language_model import Answer, Request
from cotpd.llm.models.chat_request import Dialect, to_chat
from cotpd.llm.models.completion import clean_server_text, read_completion
from cotpd.llm.store.request_store import Kept, Mishap, RequestStore

_TOGETHER = 1_000
_URL = "/v1/chat/completions"
_RESULT = " (result "
"""Stands before the digest of its row in the reason of a result without an answer."""


@dataclass(frozen=True, slots=True)
class Source:
    """The model whose answers a batch brings, and the endpoint under which they are kept."""

    model: str
    endpoint: str


@dataclass(slots=True)
class BatchReport:
    """What became of a batch's rows. ``missing``: questions that are still out; ``unknown``: answers to none of ours.

    ``failed`` rows (expired, refused, no completion) are asked again by the next run, ``reasons`` says why each failed;
    ``repeated`` ones came before.
    """

    answered: int = 0
    rejected: int = 0
    failed: int = 0
    repeated: int = 0
    unknown: int = 0
    missing: int = 0
    reasons: list[str] = field(default_factory=list, compare=False)


def write_batch(requests: Iterable[Request], path: Path, *, source: Source, store: RequestStore) -> int:
    """Write the questions that have no answer and are in no batch yet: their number.

    Where there are none, no file is made. What an endpoint refused of such questions before, in a batch or not, is
    written as it takes it (see `Dialect`). Raises `UsageError` when the file exists: it may have been handed in.
    """
    if path.exists():
        raise UsageError(f"{path} exists and may have been handed in; name another file")
    asked = _by_key(requests, source)
    left = [key for key in asked if not (store.find(key) or store.is_out(key))]
    if not left:
        return 0
    dialect = _learnt(asked, source, store)
    with writing(path) as stream:
        for key in left:
            body = to_chat(asked[key], model=source.model, dialect=dialect)
            stream.write(json_line({"custom_id": key, "method": "POST", "url": _URL, "body": body}).encode())
        store.send_out(left, str(path.absolute()))
    return len(left)


def read_batch(
    requests: Iterable[Request], paths: Iterable[Path], *, source: Source, store: RequestStore
) -> BatchReport:
    """Keep the answers in result and error files. Raises `DataError` with file:line for rows that are no results."""
    asked, report = _by_key(requests, source), BatchReport()
    intake = _Intake(source, store, report)
    for path in paths:
        for where, row in read_jsonl(path):
            key = row.get("custom_id")
            if not isinstance(key, str):
                raise DataError("a result needs a custom_id; is this the file that the batch gave back?", where=where)
            if key in asked:
                intake.take(asked[key], key, row)
            else:
                report.unknown += 1
    intake.flush()
    report.missing = sum(store.is_out(key) for key in asked)
    return report


def _learnt(asked: Mapping[str, Request], source: Source, store: RequestStore) -> Dialect:
    """What the complaints about these questions teach of their endpoint."""
    dialect = Dialect()
    for complaint, key in {each.reason: each.key for each in store.mishaps() if each.key in asked}.items():
        dialect = dialect.adapted_to(complaint, to_chat(asked[key], model=source.model, dialect=dialect))
    return dialect


def _by_key(requests: Iterable[Request], source: Source) -> dict[str, Request]:
    return {request.key(source.endpoint, source.model): request for request in requests}


class _Intake:
    """Results on their way into the store, many at a time.

    A result without an answer is kept with a digest of its row: an old error file that is read again must not free a
    question that by now is out in another batch.
    """

    def __init__(self, source: Source, store: RequestStore, report: BatchReport) -> None:
        self._source, self._store, self._report = source, store, report
        self._kept: dict[str, Kept] = {}
        self._mishaps: list[Mishap] = []
        self._seen = {(each.key, each.reason) for each in store.mishaps() if _RESULT in each.reason}

    def take(self, request: Request, key: str, row: dict[str, Any]) -> None:
        """One result. The first answer to a question counts, whatever failed before or comes after."""
        if key in self._kept or self._store.find(key):
            self._report.repeated += 1
            return
        try:
            answer = _answer(row, self._source.model)
        except CallError as error:
            self._fail(Mishap(key, f"{error}{_RESULT}{_digest(row)})"), str(error))
        else:
            self._judge(request, key, answer)
        if len(self._kept) + len(self._mishaps) >= _TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Put everything on the disk."""
        self._store.add(self._kept.values(), self._mishaps, returned=[each.key for each in self._mishaps])
        self._kept, self._mishaps = {}, []

    def _fail(self, mishap: Mishap, reason: str) -> None:
        if (mishap.key, mishap.reason) in self._seen:
            self._report.repeated += 1
            return
        self._seen.add((mishap.key, mishap.reason))
        self._report.failed += 1
        self._report.reasons.append(reason)
        self._mishaps.append(mishap)

    def _judge(self, request: Request, key: str, answer: Answer) -> None:
        reason = request.validate(answer)
        self._kept[key] = Kept(key, self._source.endpoint, self._source.model, answer, reason)
        if reason is None:
            self._report.answered += 1
        else:
            self._report.rejected += 1
            self._mishaps.append(Mishap(key, reason, answer))


def _digest(row: dict[str, Any]) -> str:
    return hash_text(json.dumps(row, sort_keys=True))[:12]


def _answer(row: dict[str, Any], model: str) -> Answer:
    """The answer in a row. Raises `CallError` for one that expired, failed or holds no completion."""
    response = row.get("response")
    if not isinstance(response, dict) or row.get("error"):
        raise CallError(f"the batch gave no answer: {clean_server_text(str(row.get('error')))}", Fault.TRANSIENT)
    return read_completion(response.get("body"), model=model)
