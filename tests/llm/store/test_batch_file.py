"""Batch files: no question is in two batches, and results may come back incomplete, repeated or broken."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from cotpd.core.errors import DataError, UsageError
from cotpd.core.files import json_line
from cotpd.llm.language_model import Answer, Message, Parameters, Request
from cotpd.llm.store import batch_file
from cotpd.llm.store.batch_file import BatchReport, Source, read_batch, write_batch
from cotpd.llm.store.request_store import RequestStore, StoredAnswer

SOURCE = Source("small", "http://somewhere/v1/")
REQUESTS = [
    Request(
        (Message("user", f"Who is {name}?"),), Parameters(20), validate=lambda answer: None if answer.text else "empty"
    )
    for name in "abcdef"
]
KEYS = [request.key(SOURCE.endpoint, SOURCE.model) for request in REQUESTS]


@pytest.fixture
def store() -> Iterator[RequestStore]:
    with RequestStore() as store:
        yield store


def result(key: str, text: str = "somebody", **changes: Any) -> dict[str, Any]:
    body = {"model": "small", "choices": [{"finish_reason": "stop", "message": {"content": text}}]}
    return {"id": "x", "custom_id": key, "response": {"status_code": 200, "body": body}, "error": None} | changes


def results(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(map(json_line, rows)), encoding="utf-8")
    return path


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_a_batch_has_a_line_for_each_open_question(tmp_path: Path, store: RequestStore) -> None:
    store.add([StoredAnswer(KEYS[0], SOURCE.endpoint, SOURCE.model, Answer("known"))])
    assert sum(write_batch([*REQUESTS, REQUESTS[1]], tmp_path / "b.jsonl", source=SOURCE, store=store).values()) == 5
    assert [row["custom_id"] for row in lines(tmp_path / "b.jsonl")] == KEYS[1:]
    assert lines(tmp_path / "b.jsonl")[0] == {
        "custom_id": KEYS[1],
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {
            "model": "small",
            "messages": [{"role": "user", "content": "Who is b?"}],
            "max_tokens": 20,
            "temperature": 0.0,
        },
    }


def test_refused_parameters_are_not_in_the_next_batch(tmp_path: Path, store: RequestStore) -> None:
    """Newer models of OpenAI report one complaint per batch."""
    complaints = [
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) value is supported.",
    ]
    for number, complaint in enumerate(complaints):
        write_batch(REQUESTS[:2], tmp_path / f"{number}.jsonl", source=SOURCE, store=store)
        refusal = {"status_code": 400, "body": {"error": {"message": complaint, "type": "invalid_request_error"}}}
        back = results(tmp_path / "errors.jsonl", [result(key, response=refusal) for key in KEYS[:2]])
        assert read_batch(REQUESTS, [back], source=SOURCE, store=store).failed == 2
    write_batch(REQUESTS, tmp_path / "last.jsonl", source=SOURCE, store=store)
    sent = [{key: row["body"].get(key) for key in ("max_tokens", "max_completion_tokens", "temperature")}
            for row in lines(tmp_path / "last.jsonl")]  # fmt: skip
    assert sent == [{"max_tokens": None, "max_completion_tokens": 20, "temperature": None}] * 6


def test_no_question_is_in_two_batches(tmp_path: Path, store: RequestStore) -> None:
    """Unless its batch is forgotten."""
    assert sum(write_batch(REQUESTS[:3], tmp_path / "one.jsonl", source=SOURCE, store=store).values()) == 3
    assert sum(write_batch(REQUESTS, tmp_path / "two.jsonl", source=SOURCE, store=store).values()) == 3
    assert store.batches() == {str(tmp_path / "one.jsonl"): 3, str(tmp_path / "two.jsonl"): 3}
    assert store.forget_batch(str(tmp_path / "one.jsonl")) == 3
    assert sum(write_batch(REQUESTS, tmp_path / "three.jsonl", source=SOURCE, store=store).values()) == 3


def test_an_old_error_file_reopens_no_question_of_a_later_batch(tmp_path: Path, store: RequestStore) -> None:
    write_batch(REQUESTS[:2], tmp_path / "one.jsonl", source=SOURCE, store=store)
    expired = [result(key, response=None, error={"code": "batch_expired"}) for key in KEYS[:2]]
    errors = results(tmp_path / "errors.jsonl", expired)
    assert read_batch(REQUESTS, [errors, errors], source=SOURCE, store=store) == BatchReport(failed=2, repeated=2)
    assert sum(write_batch(REQUESTS[:2], tmp_path / "two.jsonl", source=SOURCE, store=store).values()) == 2
    assert read_batch(REQUESTS, [errors], source=SOURCE, store=store) == BatchReport(repeated=2, missing=2)
    assert store.batches() == {str(tmp_path / "two.jsonl"): 2}
    again = results(tmp_path / "again.jsonl", [row | {"id": "y"} for row in expired])
    assert read_batch(REQUESTS, [again], source=SOURCE, store=store) == BatchReport(failed=2)
    assert store.batches() == {}


def test_no_file_is_written_without_open_questions(tmp_path: Path, store: RequestStore) -> None:
    write_batch(REQUESTS, tmp_path / "one.jsonl", source=SOURCE, store=store)
    assert sum(write_batch(REQUESTS, tmp_path / "two.jsonl", source=SOURCE, store=store).values()) == 0
    assert not (tmp_path / "two.jsonl").exists()


def test_batches_with_one_name_in_two_directories_are_two(tmp_path: Path, store: RequestStore) -> None:
    for place, requests in (("one", REQUESTS[:2]), ("two", REQUESTS[2:])):
        write_batch(requests, tmp_path / place / "batch.jsonl", source=SOURCE, store=store)
    assert store.forget_batch(str(tmp_path / "one" / "batch.jsonl")) == 2
    assert store.batches() == {str(tmp_path / "two" / "batch.jsonl"): 4}


def test_an_existing_batch_file_is_never_overwritten(tmp_path: Path, store: RequestStore) -> None:
    (tmp_path / "b.jsonl").write_text("submitted\n", encoding="utf-8")
    with pytest.raises(UsageError, match="may have been submitted"):
        write_batch(REQUESTS, tmp_path / "b.jsonl", source=SOURCE, store=store)
    assert (tmp_path / "b.jsonl").read_text("utf-8") == "submitted\n"
    assert store.batches() == {}


def test_results_may_be_unordered_partial_repeated_expired_or_unknown(tmp_path: Path, store: RequestStore) -> None:
    write_batch(REQUESTS, tmp_path / "b.jsonl", source=SOURCE, store=store)
    good = results(
        tmp_path / "good.jsonl",
        [
            result(KEYS[4], "four"),
            result("unknown"),
            result(KEYS[0], "zero"),
            result(KEYS[0], "zero again"),
            result(KEYS[1], ""),
        ],
    )
    expired = result(KEYS[2], response=None, error={"code": "batch_expired", "message": "too late"})
    refused = result(KEYS[3], response={"status_code": 429, "body": {"error": {"message": "slow down"}}})
    bad = results(tmp_path / "bad.jsonl", [expired, refused])
    report = read_batch(REQUESTS, [bad, good], source=SOURCE, store=store)
    assert report == BatchReport(answered=2, rejected=1, failed=2, repeated=1, unknown=1, missing=1)
    texts = [stored.answer.text if (stored := store.find(key)) else None for key in KEYS]
    assert texts == ["zero", "", None, None, "four", None]
    reasons = [attempt.reason for attempt in store.failed_attempts()]
    for reason, word in zip(reasons, ("too late", "slow down", "empty"), strict=True):
        assert word in reason
    assert sum(write_batch(REQUESTS, tmp_path / "rest.jsonl", source=SOURCE, store=store).values()) == 2
    assert [row["custom_id"] for row in lines(tmp_path / "rest.jsonl")] == KEYS[2:4]


def test_reading_the_same_results_again_changes_nothing(tmp_path: Path, store: RequestStore) -> None:
    good = results(tmp_path / "good.jsonl", [result(key, key) for key in KEYS])
    assert asdict(read_batch(REQUESTS, [good], source=SOURCE, store=store))["answered"] == 6
    before = list(store)
    assert read_batch(REQUESTS, [good], source=SOURCE, store=store) == BatchReport(repeated=6)
    assert list(store) == before


@pytest.mark.parametrize(
    "response", [None, [], "fine", {"body": None}, {"body": {"choices": []}}, {"body": "<h1>sorry</h1>"}]
)
def test_a_result_without_an_answer_is_a_failure(response: object, tmp_path: Path, store: RequestStore) -> None:
    odd = results(tmp_path / "odd.jsonl", [result(KEYS[0], response=response)])
    assert read_batch(REQUESTS[:1], [odd], source=SOURCE, store=store) == BatchReport(failed=1)


@pytest.mark.parametrize(
    "change", [{"error": "half \ud83d"}, {"response": {"body": {"error": {"message": "half \ud83d"}}}}]
)
def test_a_lone_surrogate_in_an_error_breaks_no_batch(
    change: dict[str, Any], tmp_path: Path, store: RequestStore
) -> None:
    back = results(tmp_path / "back.jsonl", [result(KEYS[0], **change), result(KEYS[1])])
    report = read_batch(REQUESTS, [back], source=SOURCE, store=store)
    assert report == BatchReport(answered=1, failed=1)
    assert ["half \N{REPLACEMENT CHARACTER}" in each.reason for each in store.failed_attempts()] == [True]


def test_a_file_without_results_is_an_error(tmp_path: Path, store: RequestStore) -> None:
    odd = results(tmp_path / "odd.jsonl", [{"id": "train-001"}])
    with pytest.raises(DataError, match=r"odd\.jsonl:1: a result needs a custom_id"):
        read_batch(REQUESTS, [odd], source=SOURCE, store=store)


@pytest.mark.parametrize(
    ("limits", "sizes"), [({"MAX_QUESTIONS": 4}, [4, 2]), ({"MAX_BYTES": 900}, [3, 3]), ({"MAX_BYTES": 1}, [1] * 6)]
)
def test_a_batch_that_is_too_large_for_a_host_is_split(
    limits: dict[str, int], sizes: list[int], tmp_path: Path, store: RequestStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, limit in limits.items():
        monkeypatch.setattr(batch_file, name, limit)
    counts = write_batch(REQUESTS, tmp_path / "b.jsonl", source=SOURCE, store=store)
    names = ["b.jsonl", *(f"b-{number}.jsonl" for number in range(2, len(sizes) + 1))]
    assert counts == {tmp_path / name: size for name, size in zip(names, sizes, strict=True)}
    assert [row["custom_id"] for path in counts for row in lines(path)] == KEYS
    assert store.batches() == {str(path): size for path, size in counts.items()}
    if "MAX_BYTES" in limits:
        assert all(path.stat().st_size <= limits["MAX_BYTES"] for path in counts) or limits["MAX_BYTES"] == 1


def test_a_later_part_of_a_batch_is_not_overwritten(
    tmp_path: Path, store: RequestStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_file, "MAX_QUESTIONS", 4)
    (tmp_path / "b-2.jsonl").write_text("submitted", encoding="utf-8")
    with pytest.raises(UsageError, match=r"b-2\.jsonl exists and may have been submitted"):
        write_batch(REQUESTS, tmp_path / "b.jsonl", source=SOURCE, store=store)
    assert (tmp_path / "b-2.jsonl").read_text("utf-8") == "submitted"
