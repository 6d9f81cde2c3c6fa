"""An API key that a server repeats reaches no answer, no error message, no store and no log."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from cotpd.core.errors import LanguageModelError
from cotpd.llm.asking.ask import ask
from cotpd.llm.asking.policy import Policy
from cotpd.llm.language_model import Message, Parameters, Request
from cotpd.llm.models.chat_model import ChatModel
from cotpd.llm.models.redaction import Redaction
from cotpd.llm.store.request_store import RequestStore
from cotpd.testing.fake_server import FakeServer, Reply

KEY = "gw-7fQ2zL0pXy91"


@pytest.mark.parametrize("between", ["", "\n", "\r\n ", "\x00", "\u200b", "\u2028"])
def test_a_secret_is_masked_also_if_characters_split_it(between: str) -> None:
    text = f"your key {KEY[:6]}{between}{KEY[6:]} is fine"
    assert Redaction([KEY])(text) == "your key *** is fine"


@pytest.mark.parametrize("placeholder", ["", "none", "ollama", "EMPTY", "anything", "placeholder"])
def test_a_placeholder_that_may_be_a_word_is_not_masked(placeholder: str) -> None:
    assert Redaction([placeholder])(f"He would do {placeholder} for Messi.") == f"He would do {placeholder} for Messi."


def test_a_hostile_text_is_read_in_linear_time() -> None:
    redact, began = Redaction([KEY]), perf_counter()
    redact((KEY[:-1] + "\n" * 50) * 50_000)
    redact("\n" * 3_000_000)
    assert perf_counter() - began < 5


SPLIT = f"{KEY[:5]}\n{KEY[5:]}"
ECHOES: dict[str, tuple[int, Any]] = {
    "text": (200, {"choices": [{"message": {"content": f"Hello {SPLIT}"}}]}),
    "parts": (200, {"choices": [{"message": {"content": [{"type": "text", "text": x} for x in (KEY[:4], KEY[4:])]}}]}),
    "refusal": (200, {"choices": [{"message": {"content": None, "refusal": f"Not for {KEY}"}}]}),
    "model": (200, {"model": SPLIT, "choices": [{"message": {"content": "fine"}}]}),
    "finish reason": (200, {"choices": [{"message": {"content": "fine"}, "finish_reason": KEY}]}),
    "error": (400, {"error": {"message": f"no key {SPLIT}", "param": KEY}}),
    "code": (400, {"error": {"code": KEY}}),
    "no completion": (200, {"message": f"who is {KEY}?"}),
    "page": (403, f"<html><title>{SPLIT}</title></html>"),
}


@pytest.mark.parametrize("echo", ECHOES)
def test_a_repeated_key_reaches_no_store_and_no_message(
    echo: str, chat_server: FakeServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    status, body = ECHOES[echo]
    content = body if isinstance(body, str) else json.dumps(body)
    headers = {"Location": f"/{KEY}", "Retry-After": "0"}
    chat_server.script = lambda number, question: Reply(body=content.encode(), status=status, headers=headers)
    request = Request((Message("user", "Who?"),), Parameters(9))
    caplog.set_level(logging.DEBUG)
    shown = []
    with ChatModel("small", base_url=chat_server.url, api_key=KEY) as model, RequestStore(tmp_path / "s") as store:
        try:
            shown += list(ask([request], model, store=store, policy=Policy(delay=0.0, pause=0.0)))
        except LanguageModelError as error:
            shown.append(error)
        assert shown
        kept = repr((shown, list(store), list(store.failed_attempts()), caplog.text))
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert chat_server.questions[0]["authorization"] == f"Bearer {KEY}"
    for part in (KEY, KEY[:5] + "\\n", f"{KEY[:5]} {KEY[5:]}"):
        assert part not in kept
        assert part.encode() not in files
