"""An endpoint with random faults: every question gets an answer in the end, and no answer is paid for twice."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

import pytest

from cotpd.llm.asking.ask import Failure, ask
from cotpd.llm.asking.policy import Policy
from cotpd.llm.language_model import Answer, Message, Parameters, Request
from cotpd.llm.models.chat_model import ChatModel
from cotpd.llm.store.request_store import RequestStore
from cotpd.testing.fake_server import FakeServer, Reply

NUM_QUESTIONS = 80


def completion(**choice: Any) -> bytes:
    return json.dumps({"choices": [choice]}).encode()


FAULTY_REPLIES = (
    Reply(body=b"[]"),
    Reply(body=b"", status=204),
    Reply(body=b'{"error": true}'),
    Reply(body="{}".encode("utf-16")),
    Reply(body=b"{}", headers={"Content-Encoding": "gzip"}),
    Reply(body=completion(message=None)),
    Reply(body=completion(message={"content": 5})),
    Reply(body=completion(message={"content": "half an ans"}, finish_reason="error")),
    Reply(body=b"{}", status=429, headers={"Retry-After": "-3"}),
    Reply(body=b"\xff", status=503),
    Reply(body=b"", status=413),
    Reply(body=b"tea", status=418),
    Reply(body=b"", status=599),
    Reply(ending="reset"),
)


@pytest.mark.parametrize("seed", range(2))
def test_random_faults_lose_no_question_and_pay_none_twice(seed: int, chat_server: FakeServer) -> None:
    chance, paid = random.Random(seed), Counter[str]()

    def script(number: int, question: dict[str, Any]) -> Reply:
        if chance.random() < 0.4:
            return chance.choice(FAULTY_REPLIES)
        content = question["messages"][-1]["content"]
        paid[content] += 1
        return Reply(f"about {content}", headers={"X-Odd": "\xff"})

    chat_server.script = script
    requests = [Request((Message("user", f"Who is {n}?"),), Parameters(20), about=n) for n in range(NUM_QUESTIONS)]
    policy = Policy(concurrency=8, delay=0.001, pause=0.001, breaker=50)
    with RequestStore() as store, ChatModel("small", base_url=chat_server.url, timeout=60) as model:
        for _ in range(20):
            results = {each.about: result for each, result in ask(requests, model, store=store, policy=policy)}
            assert len(results) == NUM_QUESTIONS
            if not any(isinstance(result, Failure) for result in results.values()):
                break
    texts = {about: result.text for about, result in results.items() if isinstance(result, Answer)}
    assert texts == {number: f"about Who is {number}?" for number in range(NUM_QUESTIONS)}
    assert set(paid.values()) == {1}
