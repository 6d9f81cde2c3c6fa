"""A response body is parsed into an answer, or into an error of the right kind."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cotpd.llm.call_error import CallError, Fault
from cotpd.llm.language_model import Answer
from cotpd.llm.models.completion import ResponseContext, read_body
from cotpd.llm.models.redaction import Redaction


def body(**changes: Any) -> bytes:
    """Return a valid completion with some fields changed."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "A player."}}
    return json.dumps({"object": "chat.completion", "model": "small", "choices": [choice]} | changes).encode()


def read(content: bytes, **settings: Any) -> Answer:
    return read_body(content, ResponseContext("small", **settings))


def error_of(content: bytes, **settings: Any) -> CallError:
    with pytest.raises(CallError) as raised:
        read(content, **settings)
    return raised.value


NO_JSON = "the body is not JSON; check that the address ends in /v1"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!doctype html><h1>Welcome</h1>", NO_JSON),
        (b"", NO_JSON),
        (body()[:-20], NO_JSON),
        (b"\xff\xfe{}", NO_JSON),
        (b"[" * 200_000, NO_JSON),
        (body().decode().encode("utf-16"), NO_JSON),
        (body() + b"\n" + body(), NO_JSON),
        (b'data: {"choices": []}\n\ndata: [DONE]\n\n', "the server streams it"),
        (body(usage={"prompt_tokens": 1})[:-1] + b', "n": ' + b"1" * 9_999 + b"}", NO_JSON),
        (b'"fine"', "expected a JSON object, got str"),
        (json.dumps([json.loads(body())]).encode(), "expected a JSON object, got list"),
        (b"{}", "it has no choices"),
        (body(choices=None), "it has no choices"),
        (body(choices=[]), "it has no choices"),
        (body(choices={"0": {"message": {"content": "a"}}}), "it has no choices"),
        (b'{"choices": [], "choices": 7}', "it has no choices"),
        (body(choices=["yes"]), "its first choice has no message"),
        (body(choices=[{"text": "old"}]), "its first choice has no message"),
        (body(choices=[{"message": None}]), "its first choice has no message"),
        (body(choices=[{"message": {"content": ["a"]}}]), "expected a message of type str, got list"),
        (body(choices=[{"message": {"content": 0}}]), "expected a message of type str, got int"),
        (body(choices=[{"message": {"content": {"text": "a"}}}]), "expected a message of type str, got dict"),
        (body(choices=[{"message": {"content": float("nan")}}]), "expected a message of type str, got float"),
        (b'{"error": {"message": "out of luck"}}', "out of luck"),
        (b'{"error": "quota"}', "quota"),
    ],
    ids=range(25),
)
def test_a_malformed_body_is_a_transient_error_that_says_what_is_wrong(content: bytes, message: str) -> None:
    """The SDK would return several of these as text or None, which would be stored as knowledge or crash later."""
    error = error_of(content)
    assert message in str(error)
    assert error.fault is Fault.TRANSIENT


def test_the_status_and_the_error_code_decide_the_kind_of_failure() -> None:
    """Repeating a request after an exhausted quota wastes time; repeating a refused one brings the same refusal."""
    cases: list[tuple[int, dict[str, Any], Fault]] = [
        (429, {"message": "slow down", "code": "rate_limit_exceeded"}, Fault.BUSY),
        (429, {"message": "spent", "code": "insufficient_quota"}, Fault.FATAL),
        (429, {"message": "spent", "type": "insufficient_quota"}, Fault.FATAL),
        (503, {"message": "too many users"}, Fault.BUSY),
        (529, {"message": "overloaded"}, Fault.BUSY),
        (500, {"message": "oops"}, Fault.TRANSIENT),
        (502, {"message": "oops"}, Fault.TRANSIENT),
        (408, {"message": "too slow"}, Fault.TRANSIENT),
        (400, {"message": "bad picture"}, Fault.REFUSED),
        (413, {"message": "too large"}, Fault.REFUSED),
        (422, {"message": "odd"}, Fault.REFUSED),
        (401, {"message": "who?"}, Fault.FATAL),
        (402, {"message": "pay"}, Fault.FATAL),
        (403, {"message": "no"}, Fault.FATAL),
        (404, {"message": "no such model"}, Fault.FATAL),
        (200, {"message": "out of memory"}, Fault.TRANSIENT),
        (200, {"message": "slow down", "code": 429}, Fault.BUSY),
        (200, {"message": "slow down", "code": "429"}, Fault.BUSY),
        (200, {"message": "odd", "code": True}, Fault.TRANSIENT),
        (200, {"message": "spent", "code": "insufficient_quota"}, Fault.FATAL),
    ]
    for status, error, fault in cases:
        raised = error_of(json.dumps({"error": error}).encode(), status=status)
        assert raised.fault is fault, (status, error)
        assert error["message"] in str(raised)


@pytest.mark.parametrize(
    ("choice", "fault"),
    [
        ({"error": {"message": "upstream died", "code": 502}, "finish_reason": "error"}, Fault.TRANSIENT),
        ({"error": {"message": "slow down", "code": 429}}, Fault.BUSY),
        ({"finish_reason": "error"}, Fault.TRANSIENT),
    ],
)
def test_an_incomplete_answer_with_status_200_is_an_error(choice: dict[str, Any], fault: Fault) -> None:
    """Some routers send the first half of an answer with status 200; it must not be stored as a whole answer."""
    half = {"message": {"role": "assistant", "content": "A pl"}}
    error = error_of(body(choices=[half | choice]))
    assert "answered with an error" in str(error)
    assert error.fault is fault


USAGE = {"prompt_tokens": 20, "completion_tokens": 7}
HALF = [{"finish_reason": "error", "message": {"content": "half an ans"}}]


def test_an_error_carries_the_tokens_that_may_be_billed() -> None:
    cases: list[tuple[bytes, int, tuple[int, int] | None]] = [
        (body(choices=HALF, usage=USAGE), 200, (20, 7)),
        (body(choices=HALF), 200, (0, 0)),
        (body(choices=HALF, usage={"prompt_tokens": 0, "completion_tokens": 0}), 200, None),
        (body(choices=[], usage=USAGE), 200, (20, 7)),
        (body()[:40], 200, (0, 0)),
        (b'{"error": {"message": "overloaded"}}', 200, None),
        (b"{}", 500, None),
        (b"{}", 429, None),
        (b'{"error": {"message": "no"}}', 400, None),
    ]
    for content, status, spent in cases:
        assert error_of(content, status=status).spent == spent, (content, status)


@pytest.mark.parametrize("status", [200, 429])
def test_an_error_carries_the_wait_that_the_endpoint_asks_for(status: int) -> None:
    error = error_of(b'{"error": {"message": "slow down", "code": 429}}', status=status, wait=7.0)
    assert error.retry_after == 7.0


def test_an_answer_has_its_text_its_finish_reason_and_the_model_that_answered() -> None:
    usage = {"prompt_tokens": 22, "completion_tokens": 2}
    assert read(body(usage=usage, model="other")) == Answer("A player.", "stop", 22, 2, model="other")
    assert read(b"\xef\xbb\xbf" + body()).text == "A player.", "a byte order mark is ignored"


@pytest.mark.parametrize(
    ("choice", "text", "finish_reason"),
    [
        ({"finish_reason": "content_filter", "message": {"content": None}}, "", "content_filter"),
        ({"finish_reason": "content_filter", "message": {"content": ""}}, "", "content_filter"),
        ({"finish_reason": "tool_calls", "message": {"content": None, "tool_calls": [{}]}}, "", "tool_calls"),
        ({"finish_reason": "stop", "message": {"content": None, "refusal": "I will not."}}, "I will not.", "refusal"),
        ({"finish_reason": "stop", "message": {"content": "half \ud83d"}}, "half \ufffd", "stop"),
        ({"finish_reason": 7, "message": {"content": "Fine."}}, "Fine.", ""),
    ],
)
def test_an_unusual_ending_is_an_answer_with_its_finish_reason(
    choice: dict[str, Any], text: str, finish_reason: str
) -> None:
    """The caller decides what to do with it: a filtered answer must become a rejection and not end the run."""
    answer = read(body(choices=[choice]))
    assert (answer.text, answer.finish_reason) == (text, finish_reason)


def test_a_message_in_parts_is_joined_without_its_reasoning() -> None:
    parts = [{"type": "thinking", "text": "Who?"}, {"type": "text", "text": "A "}, {"type": "text", "text": "player."}]
    assert read(body(choices=[{"message": {"content": parts}}])).text == "A player."


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning", "reasoning_details", "thinking"])
def test_a_field_of_thoughts_is_never_the_answer(field: str) -> None:
    message = {"content": None, field: "It may be a club, let me see"}
    assert read(body(choices=[{"message": message, "finish_reason": "length"}])) == Answer("", "length", model="small")
    assert read(body(choices=[{"message": message | {"content": "A player."}}])).text == "A player."


def test_a_question_that_exceeds_the_context_is_an_answer() -> None:
    """One long post must not end the elicitation."""
    error = {"message": "8000 tokens exceed 4096", "type": "invalid_request_error", "code": "context_length_exceeded"}
    assert read(json.dumps({"error": error}).encode(), status=400).finish_reason == "too_long"


def test_missing_or_invalid_token_counts_are_zero() -> None:
    for usage in (None, [], {"prompt_tokens": "many"}, {"prompt_tokens": -1}):
        answer = read(body(usage=usage))
        assert (answer.prompt_tokens, answer.completion_tokens) == (0, 0), usage


def test_texts_of_the_server_are_one_short_line_without_lone_surrogates() -> None:
    model = read(body(model="a\nb" * 100_000)).model
    assert (len(model), "\n" in model) == (200, False)
    message = str(error_of(json.dumps({"error": {"message": "no\n\nway " * 1_000}}).encode()))
    assert "no way no way" in message
    assert len(message) < 400
    error = error_of(rb'{"error": {"message": "party \ud83d"}}', status=500)
    assert "party \N{REPLACEMENT CHARACTER}" in str(error)


def test_a_key_at_the_cut_of_a_long_message_stays_secret() -> None:
    key = "sk-very-secret-0123456789"
    error = error_of(
        json.dumps({"error": {"message": f"{'x' * 190}{key}"}}).encode(), status=401, redact=Redaction([key])
    )
    assert key[:8] not in str(error)


@pytest.mark.parametrize("value", [0, -3, "12", None, True, float("nan"), 1e30, 10**30, 7.5, [3]], ids=repr)
@pytest.mark.parametrize("name", ["prompt_tokens", "completion_tokens"])
def test_an_invalid_token_count_is_unknown_and_the_other_is_kept(name: str, value: object) -> None:
    answer = read(body(usage={"prompt_tokens": 12, "completion_tokens": 12} | {name: value}))
    other = "completion_tokens" if name == "prompt_tokens" else "prompt_tokens"
    assert (getattr(answer, name), getattr(answer, other)) == (0, 12)
