"""What an endpoint sends is checked: odd answers are errors that name it, and the key stays secret."""

from __future__ import annotations

import base64
import gc
import gzip
import json
import sys
import traceback
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from cotpd.core.errors import LanguageModelError, MissingExtraError, UsageError
from cotpd.llm.call_error import CallError, Fault
from cotpd.llm.language_model import Answer, Image, Message, Parameters, Request
from cotpd.llm.models.chat_model import ChatModel
from cotpd.llm.models.http_client import MAX_BYTES, BoundedClient
from cotpd.testing.fake_server import FAULTS, FakeServer, Reply

KEY = "sk-very-secret-0123456789"
QUESTION = Request((Message("system", "Explain."), Message("user", "Who is Jordan?")), Parameters(9))


@pytest.fixture
def model(chat_server: FakeServer) -> Iterator[ChatModel]:
    with ChatModel("small", base_url=chat_server.url, api_key=KEY, timeout=5) as model:
        yield model


def ask(model: ChatModel) -> Answer:
    return model.answer(QUESTION)


def body(**changes: Any) -> bytes:
    """A good completion with some fields changed."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "A player."}}
    return json.dumps({"object": "chat.completion", "model": "small", "choices": [choice]} | changes).encode()


def test_an_answer_comes_with_its_tokens_and_its_model(model: ChatModel, chat_server: FakeServer) -> None:
    chat_server.script = lambda number, question: "A player."
    assert ask(model) == Answer("A player.", "stop", prompt_tokens=22, completion_tokens=2, model="small")
    [question] = chat_server.questions
    assert question["messages"] == [
        {"role": "system", "content": "Explain."},
        {"role": "user", "content": "Who is Jordan?"},
    ]
    assert (question["model"], question["temperature"], question["max_tokens"]) == ("small", 0, 9)
    assert (question["path"], question["authorization"]) == ("/v1/chat/completions", f"Bearer {KEY}")


def test_a_model_that_nobody_closed_leaves_no_socket(chat_server: FakeServer) -> None:
    """`elicit(posts, ChatModel(…))` is how one begins; an open socket would be a warning, which fails here."""
    unclosed = ChatModel("small", base_url=chat_server.url, timeout=5)
    ask(unclosed)
    client = unclosed._client
    del unclosed
    gc.collect()
    assert client.is_closed()


def test_another_model_than_asked_is_told(model: ChatModel, chat_server: FakeServer) -> None:
    chat_server.script = lambda number, question: Reply(body=body(model="other"))
    assert ask(model).model == "other"


@pytest.mark.parametrize("nothing", [None, ""])
def test_an_answer_without_text_is_an_answer(nothing: str | None, model: ChatModel, chat_server: FakeServer) -> None:
    """A filtered answer must become a Rejection, not end the elicitation."""
    choice = {"finish_reason": "content_filter", "message": {"content": nothing}}
    chat_server.script = lambda number, question: Reply(body=body(choices=[choice]))
    assert (ask(model).text, ask(model).finish_reason) == ("", "content_filter")


def test_a_byte_order_mark_is_no_hindrance(model: ChatModel, chat_server: FakeServer) -> None:
    chat_server.script = lambda number, question: Reply(body=b"\xef\xbb\xbf" + body())
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
        (body(choices=[{"message": {"content": 0}}]), "the message is no text but int"),
        (body(choices=[{"message": {"content": {"text": "a"}}}]), "the message is no text but dict"),
        (body(choices={"0": {"message": {"content": "a"}}}), "it holds no choices"),
        (body(choices=[{"message": None}]), "its first choice holds no message"),
        (json.dumps([json.loads(body())]).encode(), "a JSON object was expected, found list"),
        (body().decode().encode("utf-16"), "no JSON"),
        (body() + b"\n" + body(), "no JSON"),
        (b'data: {"choices": []}\n\ndata: [DONE]\n\n', "no JSON"),
        (b'{"error": {"message": "model is loading"}}', "model is loading"),
        (b'{"error": "quota"}', "quota"),
        (body(choices=[{"message": {"content": float("nan")}}]), "the message is no text but float"),
        (b'{"choices": [], "choices": 7}', "it holds no choices"),
        (body(usage={"prompt_tokens": 1})[:-1] + b', "n": ' + b"1" * 9_999 + b"}", "no JSON"),
    ],
)
def test_odd_bodies_are_errors(sent: bytes, message: str, model: ChatModel, chat_server: FakeServer) -> None:
    """The SDK hands several of these on as text or None, which would be kept as knowledge or crash later."""
    headers = {"Content-Type": "text/html" if sent.startswith(b"<") else "application/json"}
    chat_server.script = lambda number, question: Reply(body=sent, headers=headers)
    with pytest.raises(LanguageModelError, match=message):
        ask(model)


@pytest.mark.parametrize(
    ("status", "error", "fault"),
    [
        (429, {"message": "slow down", "code": "rate_limit_exceeded"}, Fault.BUSY),
        (429, {"message": "spent", "code": "insufficient_quota"}, Fault.FINAL),
        (429, {"message": "spent", "type": "insufficient_quota"}, Fault.FINAL),
        (503, {"message": "loading"}, Fault.BUSY),
        (529, {"message": "overloaded"}, Fault.BUSY),
        (500, {"message": "oops"}, Fault.BROKEN),
        (502, {"message": "oops"}, Fault.BROKEN),
        (408, {"message": "too slow"}, Fault.BROKEN),
        (400, {"message": "bad picture"}, Fault.REFUSED),
        (413, {"message": "too large"}, Fault.REFUSED),
        (422, {"message": "odd"}, Fault.REFUSED),
        (401, {"message": "who?"}, Fault.FINAL),
        (403, {"message": "no"}, Fault.FINAL),
        (404, {"message": "no such model"}, Fault.FINAL),
        (200, {"message": "out of memory"}, Fault.BROKEN),
        (200, {"message": "slow down", "code": 429}, Fault.BUSY),
        (200, {"message": "slow down", "code": "429"}, Fault.BUSY),
        (200, {"message": "odd", "code": True}, Fault.BROKEN),
        (200, {"message": "spent", "code": "insufficient_quota"}, Fault.FINAL),
        (402, {"message": "pay"}, Fault.FINAL),
    ],
)
def test_failures_tell_whether_to_ask_again(
    status: int, error: dict[str, Any], fault: Fault, model: ChatModel, chat_server: FakeServer
) -> None:
    """Fault 4: asking again after a spent quota costs time, after a refusal the same refusal."""
    chat_server.script = lambda number, question: Reply(body=json.dumps({"error": error}).encode(), status=status)
    with pytest.raises(CallError) as raised:
        ask(model)
    assert raised.value.fault is fault


@pytest.mark.parametrize(
    ("choice", "fault"),
    [
        ({"error": {"message": "upstream died", "code": 502}, "finish_reason": "error"}, Fault.BROKEN),
        ({"error": {"message": "slow down", "code": 429}}, Fault.BUSY),
        ({"finish_reason": "error"}, Fault.BROKEN),
    ],
)
def test_an_answer_that_broke_off_is_none(
    choice: dict[str, Any], fault: Fault, model: ChatModel, chat_server: FakeServer
) -> None:
    """Routers send what came so far with a status 200: half an answer would be kept as a whole one."""
    half = {"message": {"role": "assistant", "content": "A pl"}}
    chat_server.script = lambda number, question: Reply(body=body(choices=[half | choice]))
    with pytest.raises(CallError, match="answered with an error") as raised:
        ask(model)
    assert raised.value.fault is fault


def test_a_message_in_parts_is_read(model: ChatModel, chat_server: FakeServer) -> None:
    """It was paid for: asked again, it would come in parts again."""
    parts = [{"type": "thinking", "text": "Who?"}, {"type": "text", "text": "A "}, {"type": "text", "text": "player."}]
    chat_server.script = lambda number, question: Reply(body=body(choices=[{"message": {"content": parts}}]))
    assert ask(model).text == "A player."


def test_what_a_server_says_of_itself_is_one_short_line(model: ChatModel, chat_server: FakeServer) -> None:
    chat_server.script = lambda number, question: Reply(body=body(model="a\nb" * 1_000_000))
    assert (len(ask(model).model), "\n" in ask(model).model) == (200, False)
    error = json.dumps({"error": {"message": "no\n\nway " * 1_000}}).encode()
    chat_server.script = lambda number, question: Reply(body=error)
    with pytest.raises(CallError) as raised:
        ask(model)
    assert "no way no way" in str(raised.value)
    assert len(str(raised.value)) < 400


def test_half_a_character_in_what_a_server_says_is_replaced(model: ChatModel, chat_server: FakeServer) -> None:
    """No store, no file and no terminal takes it."""
    chat_server.script = lambda number, question: Reply(body=rb'{"error": {"message": "party \ud83d"}}', status=500)
    with pytest.raises(CallError, match="party \N{REPLACEMENT CHARACTER}"):
        ask(model)


@pytest.mark.parametrize("status", [200, 429])
def test_headers_in_other_letters_are_no_hindrance(status: int, model: ChatModel, chat_server: FakeServer) -> None:
    """Any byte may stand in a header; it must not end the run."""
    headers = {"X-Greeting": "grüß dich", "Retry-After": "²"}
    chat_server.script = lambda number, question: Reply(body=body(), status=status, headers=headers)
    if status == 200:
        assert ask(model).text == "A player."
    else:
        with pytest.raises(CallError) as raised:
            ask(model)
        assert raised.value.retry_after is None


@pytest.mark.parametrize("status", [200, 429])
def test_the_wait_that_the_endpoint_asks_for_is_told(status: int, model: ChatModel, chat_server: FakeServer) -> None:
    error = b'{"error": {"message": "slow down", "code": 429}}'
    chat_server.script = lambda number, question: Reply(body=error, status=status, headers={"Retry-After": "7"})
    with pytest.raises(CallError) as raised:
        ask(model)
    assert raised.value.retry_after == 7


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        (FAULTS["reset"], "RemoteProtocolError"),
        (Reply(body=b"", headers={"Content-Length": "-1"}), "RemoteProtocolError"),
        (Reply(text="slow " * 4_000, ending="trickle"), "ReadTimeout"),
        (Reply(ending="hang"), "ReadTimeout"),
        (Reply(text="x" * (MAX_BYTES + 1)), "ReadError"),
        (Reply(body=gzip.compress(b" " * 200_000_000), headers={"Content-Encoding": "gzip"}), "ReadError"),
        (Reply(body=b"no zip", headers={"Content-Encoding": "gzip"}), "DecodingError"),
        (Reply(text="odd", headers={"Content-Encoding": "gzip, gzip"}), "DecodingError"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_never_comes_whole_is_given_up(reply: Reply, cause: str, chat_server: FakeServer) -> None:
    """Faults 6 and 7: a reset, a byte at a time, silence, ten megabytes, a bomb; each of them cheap for us."""
    chat_server.script = lambda number, question: reply
    timeout = 0.5 if cause == "ReadTimeout" else 60
    with ChatModel("small", base_url=chat_server.url, timeout=timeout) as model, pytest.raises(CallError) as raised:
        ask(model)
    assert (raised.value.fault, cause in str(raised.value)) == (Fault.BROKEN, True), raised.value


USAGE = {"prompt_tokens": 20, "completion_tokens": 7}
HALF = [{"finish_reason": "error", "message": {"content": "half an ans"}}]


@pytest.mark.parametrize(
    ("reply", "spent"),
    [
        (Reply(body=body(choices=HALF, usage=USAGE)), (20, 7)),
        (Reply(body=body(choices=HALF)), (0, 0)),
        (Reply(body=body(choices=HALF, usage={"prompt_tokens": 0, "completion_tokens": 0})), None),
        (Reply(body=body(choices=[], usage=USAGE)), (20, 7)),
        (Reply(body=body()[:40]), (0, 0)),
        (Reply(ending="reset"), (0, 0)),
        (Reply(body=b'{"error": {"message": "overloaded"}}'), None),
        (Reply(body=b"{}", status=500), None),
        (Reply(body=b"{}", status=429), None),
        (Reply(body=b'{"error": {"message": "no"}}', status=400), None),
    ],
)
def test_what_a_failed_attempt_is_billed_for_is_told(
    reply: Reply, spent: tuple[int, int] | None, model: ChatModel, chat_server: FakeServer
) -> None:
    """A budget counts it: as the server tells, or, where that is not known, as much as it may be."""
    chat_server.script = lambda number, question: reply
    with pytest.raises(CallError) as raised:
        ask(model)
    assert raised.value.spent == spent


def test_a_bomb_is_not_unpacked(model: ChatModel, chat_server: FakeServer) -> None:
    """Fault 7: refused only when it is whole, 200 MB in each of 64 threads would be the end."""
    bomb = Reply(body=gzip.compress(bytes(200_000_000)), headers={"Content-Encoding": "gzip"})
    chat_server.script = lambda number, question: bomb
    tracemalloc.start()
    with pytest.raises(CallError, match="ReadError"):
        ask(model)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * MAX_BYTES


def test_an_answer_packed_unasked_is_read(model: ChatModel, chat_server: FakeServer) -> None:
    packed = Reply(body=gzip.compress(body()), headers={"Content-Encoding": "gzip"})
    chat_server.script = lambda number, question: packed
    assert ask(model).text == "A player."


@pytest.mark.parametrize(
    ("choice", "finish"),
    [
        ({"finish_reason": "tool_calls", "message": {"content": None, "tool_calls": [{}]}}, "tool_calls"),
        ({"finish_reason": "stop", "message": {"content": None, "refusal": "I will not."}}, "refusal"),
        ({"finish_reason": "stop", "message": {"content": "half \ud83d"}}, "stop"),
        ({"finish_reason": 7, "message": {"content": "Fine."}}, ""),
    ],
)
def test_an_odd_end_is_told(choice: dict[str, Any], finish: str, model: ChatModel, chat_server: FakeServer) -> None:
    """Fault 8: an answer that ended otherwise is data, which whoever asked judges."""
    chat_server.script = lambda number, question: Reply(body=body(choices=[choice]))
    answer = ask(model)
    assert answer.finish_reason == finish
    assert "\ud83d" not in answer.text


def test_images_are_read_when_sent_and_stand_before_the_text(model: ChatModel, chat_server: FakeServer) -> None:
    image = Image.of_bytes(b"not really a picture", "image/png")
    model.answer(Request((Message("user", "What is it?", (image,)),), Parameters(9)))
    [picture, text] = chat_server.questions[0]["messages"][0]["content"]
    assert picture["image_url"]["url"] == f"data:image/png;base64,{base64.b64encode(image.read()).decode()}"
    assert text == {"type": "text", "text": "What is it?"}


def test_an_endpoint_without_schemas_is_asked_for_less_and_remembered(
    model: ChatModel, chat_server: FakeServer
) -> None:
    def script(number: int, question: dict[str, Any]) -> Reply | str:
        kind = question.get("response_format", {}).get("type")
        error = b'{"error": {"message": "response_format is unknown"}}'
        return Reply(body=error, status=400) if kind == "json_schema" else str(kind)

    chat_server.script = script
    structured = replace(QUESTION, schema={"type": "object"})
    assert [model.answer(structured).text, ask(model).text, model.answer(structured).text] == [
        "json_object",
        "None",
        "json_object",
    ]
    assert len(chat_server.questions) == 4


REFUSALS = {
    "max_tokens": "Unsupported parameter: 'max_tokens' is not supported with this model. "
    "Use 'max_completion_tokens' instead.",
    "temperature": "Unsupported value: 'temperature' does not support 0 with this model. "
    "Only the default (1) value is supported.",
}


def test_parameters_that_an_endpoint_refuses_are_named_anew_or_left_out_and_that_is_remembered(
    model: ChatModel, chat_server: FakeServer
) -> None:
    def script(number: int, question: dict[str, Any]) -> Reply | str:
        for name, message in REFUSALS.items():
            if name in question:
                return Reply(body=json.dumps({"error": {"message": message, "param": name}}).encode(), status=400)
        return "A player."

    chat_server.script = script
    assert [ask(model).text, ask(model).text] == ["A player."] * 2
    assert len(chat_server.questions) == 4
    assert chat_server.questions[-1]["max_completion_tokens"] == 9


@pytest.mark.parametrize(
    "message",
    [
        "'max_tokens' or 'max_completion_tokens' is too large: 9",
        "temperature must be at most 2",
        "Unsupported parameter: 'seed'",
    ],
)
def test_a_refused_value_is_told_and_not_left_out(message: str, model: ChatModel, chat_server: FakeServer) -> None:
    error = json.dumps({"error": {"message": message}}).encode()
    chat_server.script = lambda number, question: Reply(body=error, status=400)
    with pytest.raises(CallError, match=message.split()[0]):
        ask(model)
    assert len(chat_server.questions) == 1


def test_a_password_in_the_address_is_no_part_of_the_endpoint() -> None:
    """Fault 42: the endpoint stands in every store."""
    with ChatModel("small", base_url="http://me:hush-hush@127.0.0.1:9/v1?key=hush") as model:
        assert model.endpoint == "http://127.0.0.1:9/v1/"
        assert "hush" not in repr(model)
        with pytest.raises(CallError) as raised:
            ask(model)
    assert "hush" not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("usage", [None, [], {"prompt_tokens": "many"}, {"prompt_tokens": -1}])
def test_tokens_that_are_not_told_count_zero(usage: object, model: ChatModel, chat_server: FakeServer) -> None:
    chat_server.script = lambda number, question: Reply(body=body(usage=usage))
    assert (ask(model).prompt_tokens, ask(model).completion_tokens) == (0, 0)


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
def test_a_failed_question_is_asked_once(status: int, model: ChatModel, chat_server: FakeServer) -> None:
    """The SDK's own retries would ask, and pay, again."""
    chat_server.script = lambda number, question: Reply(body=b"<h1>sorry</h1>", status=status)
    with pytest.raises(LanguageModelError, match=f"status {status}"):
        ask(model)
    assert len(chat_server.questions) == 1


def test_a_question_too_long_for_the_model_is_an_answer(model: ChatModel, chat_server: FakeServer) -> None:
    """One long post must not end the elicitation."""
    error = {"message": "8000 tokens exceed 4096", "type": "invalid_request_error", "code": "context_length_exceeded"}
    chat_server.script = lambda number, question: Reply(body=json.dumps({"error": error}).encode(), status=400)
    assert ask(model).finish_reason == "too_long"


def test_a_redirect_is_not_followed(model: ChatModel, chat_server: FakeServer) -> None:
    """The key and the post would go to whoever the endpoint names."""
    headers = {"Location": f"{chat_server.url}/elsewhere"}
    chat_server.script = lambda number, question: Reply("moved", status=307, headers=headers)
    with pytest.raises(LanguageModelError, match="status 307"):
        ask(model)
    assert [question["path"] for question in chat_server.questions] == ["/v1/chat/completions"]


@pytest.mark.parametrize("status", [200, 401])
def test_the_key_stays_secret(status: int, model: ChatModel, chat_server: FakeServer) -> None:
    """Servers echo the key in their messages; neither the error nor its trace may hold it."""
    error = {"message": f"Incorrect API key provided: {KEY}"}
    chat_server.script = lambda number, question: Reply(body=json.dumps({"error": error}).encode(), status=status)
    with pytest.raises(LanguageModelError, match=r"key provided: \*\*\*") as raised:
        ask(model)
    assert KEY not in "".join(traceback.format_exception(raised.value))
    assert KEY not in repr(model)
    assert model.endpoint in repr(model)


def test_a_key_cut_off_in_a_long_message_stays_secret(model: ChatModel, chat_server: FakeServer) -> None:
    error = json.dumps({"error": {"message": f"{'x' * 190}{KEY}"}}).encode()
    chat_server.script = lambda number, question: Reply(body=error, status=401)
    with pytest.raises(LanguageModelError) as raised:
        ask(model)
    assert KEY[:8] not in str(raised.value)


def test_a_key_that_is_a_word_changes_no_answer(chat_server: FakeServer) -> None:
    """Local servers take any key."""
    chat_server.script = lambda number, question: "He would do anything for Messi."
    with ChatModel("anything-goes", base_url=chat_server.url, api_key="anything") as model:
        answer = ask(model)
    assert (answer.text, answer.model) == ("He would do anything for Messi.", "anything-goes")


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/v1", "127.0.0.1:9/v1", "ftp://127.0.0.1/v1"])
def test_an_endpoint_that_is_not_there_is_named(address: str) -> None:
    with (
        ChatModel("small", base_url=address, api_key=KEY, timeout=5) as model,
        pytest.raises(LanguageModelError, match=r"small at .*127\.0\.0\.1.* gave no answer.*is this its address"),
    ):
        ask(model)


@pytest.mark.parametrize(
    "address",
    [
        "http://localhost:abc/v1",
        "http://me:hush/hush@127.0.0.1:80/v1",
        "http://x\n/v1",
        "http://.../v1",
        "http://\ud800/",
    ],
)
def test_an_address_that_is_none_is_refused_without_its_password(address: str) -> None:
    with pytest.raises(UsageError, match=r"cannot be read; write http://host:port/v1") as raised:
        ChatModel("small", base_url=address)
    assert "hush" not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("timeout", [0.5, 5.0, 120.0, 600.0])
def test_the_time_for_an_answer_is_the_one_given(
    timeout: float, chat_server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five seconds, the default of the library below, were read as none given: ten minutes."""
    times: list[dict[str, float]] = []
    send = BoundedClient.send

    def watch(client: BoundedClient, request: Any, **options: Any) -> Any:
        times.append(request.extensions["timeout"])
        return send(client, request, **options)

    monkeypatch.setattr(BoundedClient, "send", watch)
    chat_server.script = lambda number, question: "A player."
    with ChatModel("small", base_url=chat_server.url, timeout=timeout) as model:
        ask(model)
    assert times == [{"read": timeout, "write": timeout, "pool": timeout, "connect": min(timeout, 20.0)}]


@pytest.mark.parametrize("timeout", [float("inf"), float("nan"), 1e12, 0.0, -1.0])
def test_a_time_that_cannot_be_waited_is_refused(timeout: float) -> None:
    with pytest.raises(UsageError, match="choose more than 0, at most 86,400"):
        ChatModel("small", base_url="http://127.0.0.1:9/v1", timeout=timeout)


@pytest.mark.parametrize("key", ["sk-abcdefgh…", "sk-abc\nsk-def", "sk-abc\0"])
def test_a_key_that_is_none_is_refused_and_not_told(key: str) -> None:
    with pytest.raises(UsageError, match="the API key holds what no key does") as raised:
        ChatModel("small", base_url="http://127.0.0.1:9/v1", api_key=key)
    assert "sk-" not in str(raised.value)


def test_a_key_from_a_file_ends_with_its_line(chat_server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\r\n")
    with ChatModel("small", base_url=chat_server.url) as model:
        ask(model)
    assert chat_server.questions[0]["authorization"] == f"Bearer {KEY}"


def test_without_the_sdk_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'cotpd\[llm\]'"):
        ChatModel("small", base_url="http://127.0.0.1:9/v1")
