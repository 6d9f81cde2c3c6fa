"""The reason of an error is found in every shape that servers use."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cotpd.llm.call_error import CallError, Fault
from cotpd.llm.models.completion import ResponseContext, read_body
from cotpd.llm.models.server_error import error_in_object, error_in_text


def error_of(content: bytes, status: int = 400, **settings: Any) -> CallError:
    with pytest.raises(CallError) as raised:
        read_body(content, ResponseContext("small", status, **settings))
    return raised.value


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "too hot", "type": "invalid_request_error"}},
        {"error": "too hot"},
        {"error": {"error": {"message": "too hot"}}},
        {"error": [{"msg": "too hot"}]},
        {"errors": [{"message": "too hot"}]},
        {"errors": {"detail": "too hot"}},
        {"detail": "too hot"},
        {"detail": {"message": "too hot"}},
        {"detail": [{"msg": "too hot", "type": "value_error"}]},
        {"message": "too hot", "code": 400},
        {"object": "error", "message": "too hot", "type": "BadRequestError"},
        {"msg": "too hot"},
        {"title": "too hot", "status": 400},
        {"error_description": "too hot"},
        {"error": {"code": "too hot"}},
        [{"error": {"code": 400, "message": "too hot", "status": "INVALID_ARGUMENT"}}],
        "too hot",
    ],
    ids=json.dumps,
)
def test_the_reason_is_found(body: object) -> None:
    assert str(error_of(json.dumps(body).encode())) == "small answered with an error: too hot (status 400)"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<html><title>502 Bad\n Gateway</title><body><h1>Bad Gateway</h1>nginx</body>", "502 Bad Gateway"),
        (b"<!DOCTYPE html><body><p>No <b>such</b> page</body>", "No such page"),
        (b"404 page not found\n", "404 page not found"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"", "status 418"),
    ],
)  # fmt: skip
def test_the_reason_in_a_body_without_json_is_found(content: bytes, reason: str) -> None:
    assert reason in str(error_of(content, 418))


def test_each_place_of_a_validation_error_is_named() -> None:
    detail = [{"loc": ["body", name], "msg": "Extra inputs are not permitted"} for name in ("seed", "n")]
    error = error_in_object({"detail": detail})
    assert error
    assert error.message == "body.seed: Extra inputs are not permitted; body.n: Extra inputs are not permitted"


def test_a_body_that_names_no_reason_keeps_its_status() -> None:
    for body in ({}, [], None, 7, {"error": None}, {"error": {}}, {"detail": []}, {"message": {"role": "assistant"}}):
        assert str(error_of(json.dumps(body).encode(), 422)) == "small answered with status 422", body


def test_a_deep_or_hostile_body_is_read_quickly() -> None:
    deep: object = "bottom"
    for _ in range(500):
        deep = {"error": [deep]}
    assert error_in_object(deep) is None
    assert len(error_in_text(b"<" * 4_000_000)) < 20_000


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (503, {"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}}),
        (503, {"error": "Model org/name is currently loading", "estimated_time": 42.5}),
        (500, {"error": {"message": "unexpected server status: llm server loading model"}}),
        (503, {"error": "llm server is not ready"}),
        (503, {"message": "The model is still warming up"}),
        (502, {"detail": "The endpoint is scaled to zero and is starting"}),
        (200, {"error": {"message": "model is loading", "code": 503}}),
        (503, "Service is initializing"),
    ],
)
def test_a_server_that_is_loading_the_model_is_told_apart(status: int, body: object) -> None:
    error = error_of(json.dumps(body).encode(), status)
    assert error.fault is Fault.LOADING
    assert error.retry_after == (42.5 if "estimated_time" in json.dumps(body) else None)


@pytest.mark.parametrize(
    ("status", "message", "fault"),
    [
        (500, "error loading model: no such file", Fault.TRANSIENT),
        (503, "failed to start while loading the weights", Fault.BUSY),
        (503, "no healthy upstream", Fault.BUSY),
        (400, "loading images from a URL is not allowed", Fault.REFUSED),
        (404, "model not loaded", Fault.FATAL),
    ],
)
def test_a_model_that_will_never_be_loaded_is_not_waited_for(status: int, message: str, fault: Fault) -> None:
    assert error_of(json.dumps({"error": message}).encode(), status).fault is fault


def test_the_wait_in_a_busy_message_counts_unless_a_header_names_one() -> None:
    body = b'{"error": {"message": "Rate limit reached. Please try again in 1m2.5s. Visit us."}}'
    assert error_of(body, 429).retry_after == 62.75
    assert error_of(body, 429, wait=3.0).retry_after == 3.0
    assert error_of(body, 400).retry_after is None
