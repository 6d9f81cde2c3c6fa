"""`ChatModel` over HTTP: one attempt per call, bounded responses, and a key that stays secret."""

from __future__ import annotations

import base64
import gzip
import json
import re
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
from cotpd.llm.models.http_client import MAX_BYTES
from cotpd.testing.fake_server import FAULTS, FakeServer, Reply

KEY = "sk-very-secret-0123456789"
QUESTION = Request((Message("system", "Explain."), Message("user", "Who is Jordan?")), Parameters(9))


@pytest.fixture
def model(chat_server: FakeServer) -> Iterator[ChatModel]:
    with ChatModel("small", base_url=chat_server.url, api_key=KEY, timeout=5) as model:
        yield model


@pytest.fixture(scope="module")
def zip_bomb() -> bytes:
    """A small body that decompresses to 64 MB."""
    return gzip.compress(bytes(64_000_000), compresslevel=1)


def ask(model: ChatModel) -> Answer:
    return model.answer(QUESTION)


def completion(content: str = "A player.") -> bytes:
    return json.dumps({"choices": [{"finish_reason": "stop", "message": {"content": content}}]}).encode()


def test_a_request_and_its_answer_travel_whole(model: ChatModel, chat_server: FakeServer) -> None:
    chat_server.script = lambda number, question: "A player."
    assert ask(model) == Answer("A player.", "stop", prompt_tokens=22, completion_tokens=3, model="small")
    [question] = chat_server.questions
    assert question["messages"] == [
        {"role": "system", "content": "Explain."},
        {"role": "user", "content": "Who is Jordan?"},
    ]
    assert (question["model"], question["temperature"], question["max_tokens"]) == ("small", 0, 9)
    assert (question["path"], question["authorization"]) == ("/v1/chat/completions", f"Bearer {KEY}")


def test_malformed_bodies_are_errors_that_name_the_endpoint(model: ChatModel, chat_server: FakeServer) -> None:
    bodies = {
        b"<!doctype html><h1>Welcome</h1>": "not JSON",
        b"": "not JSON",
        b'"fine"': "expected a JSON object, got str",
        completion()[:-20]: "not JSON",
        b'{"error": {"message": "model is loading"}}': "model is loading",
    }
    for body, message in bodies.items():
        headers = {"Content-Type": "text/html" if body.startswith(b"<") else "application/json"}
        chat_server.script = lambda number, question, body=body, headers=headers: Reply(body=body, headers=headers)
        with pytest.raises(CallError, match=message) as raised:
            ask(model)
        assert model.endpoint in str(raised.value), "the message names the endpoint"


def test_a_failed_request_is_sent_once(model: ChatModel, chat_server: FakeServer) -> None:
    """A retry inside the client would be paid for and appear in no budget."""
    for status in (400, 401, 404, 429, 500, 503):
        chat_server.num_questions = 0
        chat_server.script = lambda number, question, status=status: Reply(body=b"<h1>sorry</h1>", status=status)
        with pytest.raises(LanguageModelError, match=f"status {status}"):
            ask(model)
        assert chat_server.num_questions == 1, status


def test_a_redirect_is_not_followed(model: ChatModel, chat_server: FakeServer) -> None:
    """The key and the post would go to an address that the user did not choose."""
    headers = {"Location": f"{chat_server.url}/elsewhere"}
    chat_server.script = lambda number, question: Reply("moved", status=307, headers=headers)
    with pytest.raises(LanguageModelError, match=r"status 307.* it redirects to http://.*/elsewhere"):
        ask(model)
    assert [question["path"] for question in chat_server.questions] == ["/v1/chat/completions"]


@pytest.mark.parametrize("status", [200, 429])
def test_the_retry_after_header_is_read(status: int, model: ChatModel, chat_server: FakeServer) -> None:
    error = b'{"error": {"message": "slow down", "code": 429}}'
    for header, seconds in (("7", 7.0), ("²", None)):
        headers = {"X-Greeting": "grüß dich", "Retry-After": header}
        chat_server.script = lambda number, question, headers=headers: Reply(body=error, status=status, headers=headers)
        with pytest.raises(CallError) as raised:
            ask(model)
        assert raised.value.retry_after == seconds


def test_non_ascii_headers_do_not_prevent_an_answer(model: ChatModel, chat_server: FakeServer) -> None:
    headers = {"X-Greeting": "grüß dich", "Retry-After": "²"}
    chat_server.script = lambda number, question: Reply(body=completion(), headers=headers)
    assert ask(model).text == "A player."


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (FAULTS["reset"], "the connection broke"),
        (Reply(body=b"", headers={"Content-Length": "-1"}), "the connection broke"),
        (Reply(text="slow " * 4_000, ending="trickle"), r"no complete response within 0\.1 s"),
        (Reply(ending="hang"), r"no complete response within 0\.1 s"),
        (Reply(text="x" * (MAX_BYTES + 1)), "the response exceeds 4 MiB"),
        (Reply(body=b"no zip", headers={"Content-Encoding": "gzip"}), "the response is not valid gzip"),
    ],
    ids=["reset", "bad length", "one byte at a time", "silence", "too large", "not compressed"],
)
def test_a_response_that_never_completes_is_a_transient_error(
    reply: Reply, reason: str, chat_server: FakeServer
) -> None:
    chat_server.script = lambda number, question: reply
    timeout = 0.1 if "within" in reason else 60
    model = ChatModel("small", base_url=chat_server.url, timeout=timeout)
    with pytest.raises(CallError, match=reason) as raised:
        ask(model)
    assert (raised.value.fault, raised.value.spent) == (Fault.TRANSIENT, (0, 0))


@pytest.mark.parametrize("encoding", ["zstd", "gzip, gzip"])
def test_an_unknown_compression_of_answers_stops_the_run(
    encoding: str, model: ChatModel, chat_server: FakeServer
) -> None:
    """Every further answer would be paid for and could not be read."""
    chat_server.script = lambda number, question: Reply("odd", headers={"Content-Encoding": encoding})
    with pytest.raises(CallError, match=f"compressed as '{encoding}'; turn off compression") as raised:
        ask(model)
    assert raised.value.fault is Fault.FATAL
    chat_server.script = lambda number, question: Reply("odd", status=502, headers={"Content-Encoding": encoding})
    with pytest.raises(CallError, match="status 502") as raised:
        ask(model)
    assert raised.value.fault is Fault.TRANSIENT, "a gateway compressed its error page"


def test_a_zip_bomb_is_an_error_and_is_not_decompressed(
    zip_bomb: bytes, model: ChatModel, chat_server: FakeServer
) -> None:
    """Decompressed completely in each of 64 threads, it would exhaust the memory."""
    chat_server.script = lambda number, question: Reply(body=zip_bomb, headers={"Content-Encoding": "gzip"})
    tracemalloc.start()
    with pytest.raises(CallError, match="the decompressed response exceeds 4 MiB"):
        ask(model)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * MAX_BYTES


def test_a_compressed_answer_is_decompressed(model: ChatModel, chat_server: FakeServer) -> None:
    compressed = Reply(body=gzip.compress(completion()), headers={"Content-Encoding": "gzip"})
    chat_server.script = lambda number, question: compressed
    assert ask(model).text == "A player."


def test_images_are_loaded_when_sent_and_precede_the_text(model: ChatModel, chat_server: FakeServer) -> None:
    image = Image.of_bytes(b"not really a picture", "image/png")
    model.answer(Request((Message("user", "What is it?", (image,)),), Parameters(9)))
    [picture, text] = chat_server.questions[0]["messages"][0]["content"]
    assert picture["image_url"]["url"] == f"data:image/png;base64,{base64.b64encode(image.read()).decode()}"
    assert text == {"type": "text", "text": "What is it?"}


def test_an_endpoint_without_schemas_gets_a_looser_format_from_then_on(
    model: ChatModel, chat_server: FakeServer
) -> None:
    def script(number: int, question: dict[str, Any]) -> Reply | str:
        kind = question.get("response_format", {}).get("type")
        error = b'{"error": {"message": "response_format is unknown"}}'
        return Reply(body=error, status=400) if kind == "json_schema" else str(kind)

    chat_server.script = script
    structured = replace(QUESTION, schema={"type": "object"})
    texts = [model.answer(structured).text, ask(model).text, model.answer(structured).text]
    assert texts == ["json_object", "None", "json_object"]
    assert len(chat_server.questions) == 4


REFUSALS = {
    "max_tokens": "Unsupported parameter: 'max_tokens' is not supported with this model. "
    "Use 'max_completion_tokens' instead.",
    "temperature": "Unsupported value: 'temperature' does not support 0 with this model. "
    "Only the default (1) value is supported.",
}


def test_a_refused_parameter_is_replaced_or_omitted_from_then_on(model: ChatModel, chat_server: FakeServer) -> None:
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
    ("name", "error"),
    [
        ("temperature", {"error": {"message": "1 is the only value that we take", "param": "temperature"}}),
        ("temperature", {"error": "`temperature` must be strictly positive", "error_type": "validation"}),
        ("seed", {"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]}),
        ("top_p", {"message": "top-p cannot be used with this model"}),
        ("stream", {"detail": "unknown field: stream"}),
        ("max_tokens", {"detail": [{"loc": ["body", "max_tokens"], "msg": "Extra inputs are not permitted"}]}),
    ],
)
def test_a_parameter_is_omitted_in_whatever_words_a_server_names_it(
    name: str, error: object, model: ChatModel, chat_server: FakeServer
) -> None:
    def script(number: int, question: dict[str, Any]) -> Reply | str:
        return Reply(body=json.dumps(error).encode(), status=422) if name in question else "A player."

    chat_server.script = script
    full = Request(QUESTION.messages, Parameters(9, temperature=0.7, top_p=0.9, seed=3))
    assert [model.answer(full).text, model.answer(full).text] == ["A player."] * 2
    assert len(chat_server.questions) == 3, "the second question was sent without the parameter at once"
    rest = {"temperature", "top_p", "seed", "stream", "max_tokens"} - {name}
    assert rest <= chat_server.questions[-1].keys()


@pytest.mark.parametrize(
    "message",
    ["System role not supported", "Conversation roles must alternate user/assistant", "Developer instruction is off"],
)
def test_a_server_without_system_messages_gets_them_in_the_question(
    message: str, model: ChatModel, chat_server: FakeServer
) -> None:
    def script(number: int, question: dict[str, Any]) -> Reply | str:
        refused = question["messages"][0]["role"] == "system"
        return Reply(body=json.dumps({"message": message}).encode(), status=400) if refused else "A player."

    chat_server.script = script
    assert [ask(model).text, ask(model).text] == ["A player."] * 2
    assert len(chat_server.questions) == 3
    assert chat_server.questions[-1]["messages"] == [{"role": "user", "content": "Explain.\n\nWho is Jordan?"}]


@pytest.mark.parametrize(
    ("address", "endpoint"),
    [
        ("http://localhost:8000/v1", "http://localhost:8000/v1/"),
        ("http://LOCALHOST:80/v1/", "http://localhost/v1/"),
        ("https://x.test", "https://x.test"),
        ("https://x.test//", "https://x.test//"),
        ("https://x.test/a%2Fb/ä v/v1", "https://x.test/a%2Fb/%C3%A4%20v/v1/"),
        ("https://münchen.test/V1?key=1", "https://xn--mnchen-3ya.test/V1/"),
        ("http://[::1]:8/v1", "http://[::1]:8/v1/"),
    ],
)
def test_the_endpoint_of_an_address_never_changes(address: str, endpoint: str) -> None:
    """It is part of the key under which paid answers are stored."""
    assert ChatModel("small", base_url=address).endpoint == endpoint


def test_a_parameter_is_only_omitted_from_then_on_if_that_helped(model: ChatModel, chat_server: FakeServer) -> None:
    """The word may belong to the post that a filter refuses."""
    refusal = Reply(body=b'{"error": {"message": "blocked: a high temperature in Oslo"}}', status=400)
    chat_server.script = lambda number, question: refusal if number <= 2 else "A player."
    with pytest.raises(CallError, match="a high temperature in Oslo"):
        ask(model)
    assert ask(model).text == "A player."
    assert ["temperature" in question for question in chat_server.questions] == [True, False, True]


def test_a_value_of_max_tokens_that_is_refused_is_an_error(model: ChatModel, chat_server: FakeServer) -> None:
    error = b'{"error": {"message": "\'max_tokens\' or \'max_completion_tokens\' is too large: 9"}}'
    chat_server.script = lambda number, question: Reply(body=error, status=400)
    with pytest.raises(CallError, match="is too large: 9"):
        ask(model)
    assert chat_server.num_questions == 1


def test_a_request_asks_for_a_whole_answer(model: ChatModel, chat_server: FakeServer) -> None:
    """Some servers stream unless the request says otherwise."""
    ask(model)
    assert chat_server.questions[0]["stream"] is False


@pytest.mark.parametrize("suffix", ["?api-version=2024-10-21", "/?api-version=2024-10-21"])
def test_a_query_in_the_address_is_sent_after_the_path(suffix: str, chat_server: FakeServer) -> None:
    address = f"{chat_server.url.removesuffix('/v1')}/openai/deployments/gpt{suffix}"
    with ChatModel("small", base_url=address, api_key=KEY) as model:
        ask(model)
        assert model.endpoint == address.partition("?")[0].removesuffix("/") + "/", "the key of stored answers"
    [question] = chat_server.questions
    assert question["path"] == "/openai/deployments/gpt/chat/completions?api-version=2024-10-21"
    assert question["headers"]["api-key"] == KEY, "Azure reads the key from this header"


def test_a_password_in_the_address_replaces_the_key(chat_server: FakeServer) -> None:
    with ChatModel("small", base_url=chat_server.url.replace("//", "//me:hush-hush@"), api_key=KEY) as model:
        ask(model)
    assert chat_server.questions[0]["authorization"] == f"Basic {base64.b64encode(b'me:hush-hush').decode()}"


@pytest.mark.parametrize("status", [200, 401])
def test_the_key_stays_secret_even_if_the_server_repeats_it(
    status: int, model: ChatModel, chat_server: FakeServer
) -> None:
    error = {"message": f"Incorrect API key provided: {KEY}"}
    chat_server.script = lambda number, question: Reply(body=json.dumps({"error": error}).encode(), status=status)
    with pytest.raises(LanguageModelError, match=r"key provided: \*\*\*") as raised:
        ask(model)
    assert KEY not in "".join(traceback.format_exception(raised.value))
    assert KEY not in repr(model)
    assert model.endpoint in repr(model)


def test_a_placeholder_key_changes_no_answer(chat_server: FakeServer) -> None:
    """Local servers accept any key, so a short key may be an ordinary word."""
    chat_server.script = lambda number, question: "He would do anything for Messi."
    with ChatModel("anything-goes", base_url=chat_server.url, api_key="anything") as model:
        answer = ask(model)
    assert (answer.text, answer.model) == ("He would do anything for Messi.", "anything-goes")


def test_a_key_is_stripped_of_the_line_break_of_its_file(
    chat_server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\r\n")
    with ChatModel("small", base_url=chat_server.url) as model:
        ask(model)
    assert chat_server.questions[0]["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("key", ["sk-abcdefgh…", "sk-abc\nsk-def", "sk-abc\0"])
def test_an_invalid_key_raises_an_error_that_does_not_show_it(key: str) -> None:
    with pytest.raises(UsageError, match="the API key contains a line break, a control character") as raised:
        ChatModel("small", base_url="http://127.0.0.1:9/v1", api_key=key)
    assert "sk-" not in str(raised.value)


def test_a_password_in_the_address_is_not_part_of_the_endpoint() -> None:
    """The endpoint is written to every store."""
    with ChatModel("small", base_url="http://me:hush-hush@127.0.0.1:9/v1?key=hush") as model:
        assert model.endpoint == "http://127.0.0.1:9/v1/"
        assert "hush" not in repr(model)
        with pytest.raises(CallError) as raised:
            ask(model)
    assert "hush" not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/v1", "http://localhost:9/v1"])
def test_an_unreachable_endpoint_is_named_in_the_error(address: str) -> None:
    message = r"small at .*:9/v1/ gave no answer: .*Connection refused; check that the server is running"
    with ChatModel("small", base_url=address, api_key=KEY, timeout=5) as model:
        with pytest.raises(CallError, match=message) as raised:
            ask(model)
        assert raised.value.fault is Fault.UNREACHABLE


@pytest.mark.parametrize(
    "address",
    [
        "http://localhost:abc/v1",
        "http://me:hush/hush@127.0.0.1:80/v1",
        "http://x\n/v1",
        "http://.../v1",
        "http://\ud800/",
        "127.0.0.1:9/v1",
        "ftp://127.0.0.1/v1",
    ],
)
def test_an_invalid_address_raises_an_error_that_does_not_show_its_password(address: str) -> None:
    with pytest.raises(UsageError, match=r"not a valid URL; write http://host:port/v1") as raised:
        ChatModel("small", base_url=address)
    assert "hush" not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("timeout", [float("inf"), float("nan"), 1e12, 0.0, -1.0])
def test_an_invalid_timeout_raises_an_error(timeout: float) -> None:
    message = re.escape(f"timeout must be above 0 and at most 86,400 seconds, got {timeout:g}")
    with pytest.raises(UsageError, match=message):
        ChatModel("small", base_url="http://127.0.0.1:9/v1", timeout=timeout)


def test_without_the_http_library_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx2", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'cotpd\[llm\]'"):
        ChatModel("small", base_url="http://127.0.0.1:9/v1")
