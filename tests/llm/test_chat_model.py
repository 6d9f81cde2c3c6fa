"""What an endpoint sends is checked: odd answers are errors that name it, and the key stays secret."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from cotpd.core.errors import LanguageModelError, MissingExtraError
from cotpd.llm.chat_model import ChatModel
from cotpd.llm.language_model import Answer, Message, Parameters, Request

KEY = "sk-very-secret-0123456789"
QUESTION = Request((Message("system", "Explain."), Message("user", "Who is Jordan?")), Parameters(9))


@pytest.fixture
def model(chat_server: Any) -> Iterator[ChatModel]:
    with ChatModel("small", base_url=chat_server.url, api_key=KEY, timeout=5) as model:
        yield model


def ask(model: ChatModel) -> Answer:
    return model.answer(QUESTION)


def body(**changes: Any) -> bytes:
    """A good completion with some fields changed."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "A player."}}
    return json.dumps({"object": "chat.completion", "model": "small", "choices": [choice]} | changes).encode()


def test_an_answer_comes_with_its_tokens_and_its_model(model: ChatModel, chat_server: Any) -> None:
    chat_server.reply = lambda question: "A player."
    assert ask(model) == Answer("A player.", "stop", prompt_tokens=7, completion_tokens=3, model="small")
    [question] = chat_server.questions
    assert question["messages"] == [
        {"role": "system", "content": "Explain."},
        {"role": "user", "content": "Who is Jordan?"},
    ]
    assert (question["model"], question["temperature"], question["max_tokens"]) == ("small", 0, 9)
    assert (question["path"], question["authorization"]) == ("/v1/chat/completions", f"Bearer {KEY}")


def test_another_model_than_asked_is_told(model: ChatModel, chat_server: Any) -> None:
    chat_server.reply = lambda question: body(model="other")
    assert ask(model).model == "other"


@pytest.mark.parametrize("nothing", [None, ""])
def test_an_answer_without_text_is_an_answer(nothing: str | None, model: ChatModel, chat_server: Any) -> None:
    """A filtered answer must become a Rejection, not end the elicitation."""
    choice = {"finish_reason": "content_filter", "message": {"content": nothing}}
    chat_server.reply = lambda question: body(choices=[choice])
    assert (ask(model).text, ask(model).finish_reason) == ("", "content_filter")


def test_a_byte_order_mark_is_no_hindrance(model: ChatModel, chat_server: Any) -> None:
    chat_server.reply = lambda question: b"\xef\xbb\xbf" + body()
    assert ask(model).text == "A player."


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (b"<!doctype html><h1>Welcome</h1>", "no JSON; does the address end in /v1"),
        (b"", "no JSON"),
        (body()[:-20], "no JSON"),
        (b"\xff\xfe{}", "no JSON"),
        (b"[" * 200_000, "no JSON"),
        (b'"fine"', "a JSON object was expected, found str"),
        (b"{}", "it holds no choices"),
        (body(choices=None), "it holds no choices"),
        (body(choices=[]), "it holds no choices"),
        (body(choices=["yes"]), "its first choice holds no message"),
        (body(choices=[{"text": "old"}]), "its first choice holds no message"),
        (body(choices=[{"message": {"content": ["a"]}}]), "the message is no text but list"),
        (b'{"error": {"message": "model is loading"}}', "model is loading"),
        (b'{"error": "quota"}', "quota"),
    ],
)
def test_odd_bodies_are_errors(sent: bytes, message: str, model: ChatModel, chat_server: Any) -> None:
    """The SDK hands several of these on as text or None, which would be kept as knowledge or crash later."""
    chat_server.reply = lambda question: sent
    chat_server.headers = {"Content-Type": "text/html" if sent.startswith(b"<") else "application/json"}
    with pytest.raises(LanguageModelError, match=message):
        ask(model)


@pytest.mark.parametrize("usage", [None, [], {"prompt_tokens": "many"}, {"prompt_tokens": -1}])
def test_tokens_that_are_not_told_count_zero(usage: object, model: ChatModel, chat_server: Any) -> None:
    chat_server.reply = lambda question: body(usage=usage)
    assert (ask(model).prompt_tokens, ask(model).completion_tokens) == (0, 0)


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
def test_a_failed_question_is_asked_once(status: int, model: ChatModel, chat_server: Any) -> None:
    """The SDK's own retries would ask, and pay, again."""
    chat_server.status, chat_server.reply = status, lambda question: b"<h1>sorry</h1>"
    with pytest.raises(LanguageModelError, match=f"status {status}"):
        ask(model)
    assert len(chat_server.questions) == 1


def test_a_question_too_long_for_the_model_is_an_answer(model: ChatModel, chat_server: Any) -> None:
    """One long post must not end the elicitation."""
    error = {"message": "8000 tokens exceed 4096", "type": "invalid_request_error", "code": "context_length_exceeded"}
    chat_server.status, chat_server.reply = 400, lambda question: json.dumps({"error": error}).encode()
    assert ask(model).finish_reason == "too_long"


def test_a_redirect_is_not_followed(model: ChatModel, chat_server: Any) -> None:
    """The key and the post would go to whoever the endpoint names."""
    chat_server.status, chat_server.headers = 307, {"Location": f"{chat_server.url}/elsewhere"}
    with pytest.raises(LanguageModelError, match="status 307"):
        ask(model)
    assert [question["path"] for question in chat_server.questions] == ["/v1/chat/completions"]


@pytest.mark.parametrize("status", [200, 401])
def test_the_key_stays_secret(status: int, model: ChatModel, chat_server: Any) -> None:
    """Servers echo the key in their messages; neither the error nor its trace may hold it."""
    error = {"message": f"Incorrect API key provided: {KEY}"}
    chat_server.status, chat_server.reply = status, lambda question: json.dumps({"error": error}).encode()
    with pytest.raises(LanguageModelError, match=r"key provided: \*\*\*") as raised:
        ask(model)
    assert KEY not in "".join(traceback.format_exception(raised.value))
    assert KEY not in repr(model)
    assert model.endpoint in repr(model)


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/v1", "127.0.0.1:9/v1", "ftp://127.0.0.1/v1"])
def test_an_endpoint_that_is_not_there_is_named(address: str) -> None:
    with (
        ChatModel("small", base_url=address, api_key=KEY, timeout=5) as model,
        pytest.raises(LanguageModelError, match=r"small at .*127\.0\.0\.1.* gave no answer.*is this its address"),
    ):
        ask(model)


def test_without_the_sdk_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'cotpd\[llm\]'"):
        ChatModel("small", base_url="http://127.0.0.1:9/v1")
