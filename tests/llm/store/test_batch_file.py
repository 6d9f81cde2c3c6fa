"""Batch files out and in: nothing is handed in twice, and whatever comes back is taken for what it is."""

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
from cotpd.llm.store.batch_file import BatchReport, Source, read_batch, write_batch
from cotpd.llm.store.request_store import StoredAnswer, RequestStore

SOURCE = Source("small", "http://somewhere/v1/")
REQUESTS = [
    Request((Message("user", f"Who is {name}?"),), Parameters(20), validate=lambda said: None if said.text else "empty")
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
    assert write_batch([*REQUESTS, REQUESTS[1]], tmp_path / "b.jsonl", source=SOURCE, store=store) == 5
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


def test_what_a_batch_was_refused_for_is_not_in_the_next(tmp_path: Path, store: RequestStore) -> None:
    """As newer models of OpenAI refuse: each complaint comes alone, a batch later."""
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


def test_no_question_stands_in_two_batches(tmp_path: Path, store: RequestStore) -> None:
    """Fault 21: unless its batch is called back."""
    assert write_batch(REQUESTS[:3], tmp_path / "one.jsonl", source=SOURCE, store=store) == 3
    assert write_batch(REQUESTS, tmp_path / "two.jsonl", source=SOURCE, store=store) == 3
    assert store.batches() == {str(tmp_path / "one.jsonl"): 3, str(tmp_path / "two.jsonl"): 3}
    assert store.forget_batch(str(tmp_path / "one.jsonl")) == 3
    assert write_batch(REQUESTS, tmp_path / "three.jsonl", source=SOURCE, store=store) == 3


def test_an_error_file_read_again_frees_nothing_of_a_later_batch(tmp_path: Path, store: RequestStore) -> None:
    """Else what is out in the second batch goes into a third, and is paid twice."""
    write_batch(REQUESTS[:2], tmp_path / "one.jsonl", source=SOURCE, store=store)
    expired = [result(key, response=None, error={"code": "batch_expired"}) for key in KEYS[:2]]
    errors = results(tmp_path / "errors.jsonl", expired)
    assert read_batch(REQUESTS, [errors, errors], source=SOURCE, store=store) == BatchReport(failed=2, repeated=2)
    assert write_batch(REQUESTS[:2], tmp_path / "two.jsonl", source=SOURCE, store=store) == 2
    assert read_batch(REQUESTS, [errors], source=SOURCE, store=store) == BatchReport(repeated=2, missing=2)
    assert store.batches() == {str(tmp_path / "two.jsonl"): 2}
    again = results(tmp_path / "again.jsonl", [row | {"id": "y"} for row in expired])
    assert read_batch(REQUESTS, [again], source=SOURCE, store=store) == BatchReport(failed=2)
    assert store.batches() == {}


def test_where_nothing_is_left_no_file_is_made(tmp_path: Path, store: RequestStore) -> None:
    """An empty one would be handed in."""
    write_batch(REQUESTS, tmp_path / "one.jsonl", source=SOURCE, store=store)
    assert write_batch(REQUESTS, tmp_path / "two.jsonl", source=SOURCE, store=store) == 0
    assert not (tmp_path / "two.jsonl").exists()


def test_batches_of_one_name_in_two_places_are_two(tmp_path: Path, store: RequestStore) -> None:
    for place, requests in (("one", REQUESTS[:2]), ("two", REQUESTS[2:])):
        write_batch(requests, tmp_path / place / "batch.jsonl", source=SOURCE, store=store)
    assert store.forget_batch(str(tmp_path / "one" / "batch.jsonl")) == 2
    assert store.batches() == {str(tmp_path / "two" / "batch.jsonl"): 4}


def test_a_batch_that_may_have_been_handed_in_is_not_written_over(tmp_path: Path, store: RequestStore) -> None:
    (tmp_path / "b.jsonl").write_text("handed in\n", encoding="utf-8")
    with pytest.raises(UsageError, match="may have been handed in"):
        write_batch(REQUESTS, tmp_path / "b.jsonl", source=SOURCE, store=store)
    assert (tmp_path / "b.jsonl").read_text("utf-8") == "handed in\n"
    assert store.batches() == {}


def test_results_may_be_unordered_partial_repeated_expired_and_of_others(tmp_path: Path, store: RequestStore) -> None:
    """Fault 21."""
    write_batch(REQUESTS, tmp_path / "b.jsonl", source=SOURCE, store=store)
    good = results(
        tmp_path / "good.jsonl",
        [
            result(KEYS[4], "four"),
            result("somebody-else"),
            result(KEYS[0], "nought"),
            result(KEYS[0], "nought again"),
            result(KEYS[1], ""),
        ],
    )
    expired = result(KEYS[2], response=None, error={"code": "batch_expired", "message": "too late"})
    refused = result(KEYS[3], response={"status_code": 429, "body": {"error": {"message": "slow down"}}})
    bad = results(tmp_path / "bad.jsonl", [expired, refused])
    report = read_batch(REQUESTS, [bad, good], source=SOURCE, store=store)
    assert report == BatchReport(answered=2, rejected=1, failed=2, repeated=1, unknown=1, missing=1)
    found = [kept.answer.text if (kept := store.find(key)) else None for key in KEYS]
    assert found == ["nought", "", None, None, "four", None]
    assert [word for each in store.failed_attempts() for word in ("too late", "slow down", "empty") if word in each.reason] == [
        "too late",
        "slow down",
        "empty",
    ]
    assert write_batch(REQUESTS, tmp_path / "rest.jsonl", source=SOURCE, store=store) == 2
    assert [row["custom_id"] for row in lines(tmp_path / "rest.jsonl")] == KEYS[2:4]


def test_reading_the_same_results_again_changes_nothing(tmp_path: Path, store: RequestStore) -> None:
    """Fault 21: a poll that was interrupted."""
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
def test_half_a_character_in_a_failure_spoils_no_batch(
    change: dict[str, Any], tmp_path: Path, store: RequestStore
) -> None:
    back = results(tmp_path / "back.jsonl", [result(KEYS[0], **change), result(KEYS[1])])
    report = read_batch(REQUESTS, [back], source=SOURCE, store=store)
    assert report == BatchReport(answered=1, failed=1)
    assert ["half \N{REPLACEMENT CHARACTER}" in each.reason for each in store.failed_attempts()] == [True]


def test_a_file_that_holds_no_results_is_named(tmp_path: Path, store: RequestStore) -> None:
    odd = results(tmp_path / "odd.jsonl", [{"id": "train-001"}])
    with pytest.raises(DataError, match=r"odd\.jsonl:1: a result needs a custom_id"):
        read_batch(REQUESTS, [odd], source=SOURCE, store=store)
