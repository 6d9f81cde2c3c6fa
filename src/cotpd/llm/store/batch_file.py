"""Batch files in the format of OpenAI, for hosted batch APIs and ``vllm run-batch``: questions out, results in.

The user submits the file. The store records which questions are in a batch, so that no second batch asks them. Results
may come back in any order and from any number of files.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cotpd.core.errors import DataError, UsageError
from cotpd.core.files import atomic_writer, hash_text, json_line, read_jsonl
from cotpd.llm.call_error import CallError, Fault
from cotpd.llm.language_model import Answer, Request
from cotpd.llm.models.chat_request import Dialect, to_chat
from cotpd.llm.models.completion import ResponseContext, clean_server_text, read_completion
from cotpd.llm.store.request_store import FailedAttempt, RequestStore, StoredAnswer

MAX_QUESTIONS = 50_000
MAX_BYTES = 200_000_000
"""The largest batch file that OpenAI accepts; other hosts accept as much or more."""
_GROUP_SIZE = 1_000
_URL = "/v1/chat/completions"
_DIGEST_MARK = " (result "
"""Precedes the digest of the row in the reason of a result without an answer."""


@dataclass(frozen=True, slots=True)
class Source:
    """The model that answers a batch, and the endpoint under which its answers are stored."""

    model: str
    endpoint: str


@dataclass(slots=True)
class BatchReport:
    """What became of the rows of a batch.

    Attributes:
        failed: Results without an answer (expired, refused, no completion). The next run asks these questions again.
        repeated: Results that were read before.
        unknown: Results of questions that are not among the requests.
        missing: Questions that are still in a batch.
        reasons: The error message of each failed result.
    """

    answered: int = 0
    rejected: int = 0
    failed: int = 0
    repeated: int = 0
    unknown: int = 0
    missing: int = 0
    reasons: list[str] = field(default_factory=list, compare=False)


def write_batch(requests: Iterable[Request], path: Path, *, source: Source, store: RequestStore) -> dict[Path, int]:
    """Write the questions that have no answer and are in no batch; return the number of questions in each file.

    A file holds at most `MAX_QUESTIONS` questions and `MAX_BYTES` bytes, which hosted batch APIs accept. Further
    questions go to ``NAME-2.jsonl``, ``NAME-3.jsonl`` and so on. Without an open question there is no file. The format
    follows what the endpoint refused of these questions before (see `Dialect`).

    Raises:
        UsageError: If one of the files exists, because it may have been submitted.
    """
    _refuse_existing(path)
    by_key = _by_key(requests, source)
    keys = [key for key in by_key if not (store.find(key) or store.is_in_batch(key))]
    dialect = _learned_dialect(by_key, source, store)
    lines = ((key, _batch_line(key, by_key[key], source.model, dialect)) for key in keys)
    counts: dict[Path, int] = {}
    for part in _split(lines):
        target = path if not counts else path.with_stem(f"{path.stem}-{len(counts) + 1}")
        counts[target] = _write_part(part, target, store)
    return counts


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise UsageError(f"{path} exists and may have been submitted; choose another name")


def _batch_line(key: str, request: Request, model: str, dialect: Dialect) -> bytes:
    body = to_chat(request, model=model, dialect=dialect)
    return json_line({"custom_id": key, "method": "POST", "url": _URL, "body": body}).encode()


def _split(lines: Iterable[tuple[str, bytes]]) -> Iterator[Iterator[tuple[str, bytes]]]:
    """Yield the lines in parts that fit into one file. Each part must be consumed before the next."""
    rest = iter(lines)
    first = next(rest, None)

    def part() -> Iterator[tuple[str, bytes]]:
        nonlocal first
        num_lines = num_bytes = 0
        while first and (not num_lines or (num_lines < MAX_QUESTIONS and num_bytes + len(first[1]) <= MAX_BYTES)):
            num_lines, num_bytes = num_lines + 1, num_bytes + len(first[1])
            yield first
            first = next(rest, None)

    while first:
        yield part()


def _write_part(lines: Iterable[tuple[str, bytes]], path: Path, store: RequestStore) -> int:
    _refuse_existing(path)
    keys = []
    with atomic_writer(path) as stream:
        for key, line in lines:
            stream.write(line)
            keys.append(key)
        store.add_to_batch(keys, str(path.absolute()))
    return len(keys)


def read_batch(
    requests: Iterable[Request], paths: Iterable[Path], *, source: Source, store: RequestStore
) -> BatchReport:
    """Store the answers in result and error files.

    Raises:
        DataError: With file:line, for a row that is not a result.
    """
    by_key, report = _by_key(requests, source), BatchReport()
    reader = _ResultReader(source, store, report)
    for path in paths:
        for where, row in read_jsonl(path):
            key = row.get("custom_id")
            if not isinstance(key, str):
                raise DataError("a result needs a custom_id; is this the file that the batch gave back?", where=where)
            if key in by_key:
                reader.add(by_key[key], key, row)
            else:
                report.unknown += 1
    reader.flush()
    report.missing = sum(store.is_in_batch(key) for key in by_key)
    return report


def _learned_dialect(by_key: Mapping[str, Request], source: Source, store: RequestStore) -> Dialect:
    """Return the dialect that avoids what the endpoint refused of these questions."""
    dialect = Dialect()
    complaints = {each.reason: each.key for each in store.failed_attempts() if each.key in by_key}
    for complaint, key in complaints.items():
        dialect = dialect.adapted_to(complaint, to_chat(by_key[key], model=source.model, dialect=dialect))
    return dialect


def _by_key(requests: Iterable[Request], source: Source) -> dict[str, Request]:
    return {request.key(source.endpoint, source.model): request for request in requests}


class _ResultReader:
    """Writes results into the store in groups.

    A result without an answer is recorded with a digest of its row. So an old error file that is read again does not
    reopen a question that is in another batch by now.
    """

    def __init__(self, source: Source, store: RequestStore, report: BatchReport) -> None:
        self._source, self._store, self._report = source, store, report
        self._answers: dict[str, StoredAnswer] = {}
        self._failed: list[FailedAttempt] = []
        self._seen = {(each.key, each.reason) for each in store.failed_attempts() if _DIGEST_MARK in each.reason}

    def add(self, request: Request, key: str, row: dict[str, Any]) -> None:
        """Add one result. Only the first answer to a question counts."""
        if key in self._answers or self._store.find(key):
            self._report.repeated += 1
            return
        try:
            answer = _read_result(row, self._source.model)
        except CallError as error:
            self._add_failure(FailedAttempt(key, f"{error}{_DIGEST_MARK}{_digest(row)})"), str(error))
        else:
            self._add_answer(request, key, answer)
        if len(self._answers) + len(self._failed) >= _GROUP_SIZE:
            self.flush()

    def flush(self) -> None:
        """Write the results that are still in memory."""
        self._store.add(self._answers.values(), self._failed, returned=[each.key for each in self._failed])
        self._answers, self._failed = {}, []

    def _add_failure(self, attempt: FailedAttempt, reason: str) -> None:
        if (attempt.key, attempt.reason) in self._seen:
            self._report.repeated += 1
            return
        self._seen.add((attempt.key, attempt.reason))
        self._report.failed += 1
        self._report.reasons.append(reason)
        self._failed.append(attempt)

    def _add_answer(self, request: Request, key: str, answer: Answer) -> None:
        reason = request.validate(answer)
        self._answers[key] = StoredAnswer(key, self._source.endpoint, self._source.model, answer, reason)
        if reason is None:
            self._report.answered += 1
        else:
            self._report.rejected += 1
            self._failed.append(FailedAttempt(key, reason, answer))


def _digest(row: dict[str, Any]) -> str:
    return hash_text(json.dumps(row, sort_keys=True))[:12]


def _read_result(row: dict[str, Any], model: str) -> Answer:
    """Return the answer in a row. Raises `CallError` if it expired, failed or has no completion."""
    response = row.get("response")
    if not isinstance(response, dict) or row.get("error"):
        raise CallError(f"the batch gave no answer: {clean_server_text(str(row.get('error')))}", Fault.TRANSIENT)
    return read_completion(response.get("body"), ResponseContext(model))
