"""The fake endpoint: deterministic, and as faulty as its script says."""

from __future__ import annotations

import subprocess
import sys

import pytest

from cotpd.core.records import Grain, Knowledge, Post
from cotpd.knowledge.answers import parse_knowledge
from cotpd.knowledge.template import WORDINGS, Template
from cotpd.llm.call_error import CallError, Fault
from cotpd.llm.language_model import Message, Parameters, Request
from cotpd.llm.models.chat_model import ChatModel
from cotpd.testing.fake_server import FAULTS, FakeServer, deterministic_reply, every

POST = Post("1", "Jordan beat Oman in Amman", "a man jumps")


def ask(url: str, text: str) -> str:
    with ChatModel("any", base_url=url, timeout=10) as model:
        return model.answer(Request((Message("user", text),), Parameters(90))).text


def test_the_answer_depends_on_the_question_alone() -> None:
    with FakeServer() as one, FakeServer() as other:
        assert ask(one.url, "Jordan") == ask(one.url, "Jordan") == ask(other.url, "Jordan")
        assert ask(one.url, "Jordan") != ask(one.url, "Jordan ")
        assert (one.num_questions, len(one.questions)) == (4, 4)


@pytest.mark.parametrize("wording", WORDINGS)
@pytest.mark.parametrize("grain", Grain)
def test_rehearsals_are_not_rejected(grain: Grain, wording: str) -> None:
    messages = Template.of(grain, wording).render(POST)
    with FakeServer(keep=False) as server, ChatModel("any", base_url=server.url) as model:
        answer = model.answer(Request(messages, Parameters(90)))
        assert server.questions == []
    outcome = parse_knowledge(answer, POST, grain=grain, model="any", template=wording)
    assert isinstance(outcome, Knowledge)
    assert {line.partition(":")[0] for line in answer.text.splitlines()} == {"Jordan", "Oman", "Amman"}


def test_faults_come_in_turn() -> None:
    with FakeServer(every(2, [FAULTS["429"], FAULTS["500"]])) as server:
        faults = []
        for number in range(8):
            try:
                ask(server.url, str(number))
            except CallError as error:
                faults.append(error.fault)
    assert faults == [Fault.BROKEN, Fault.BUSY, Fault.BROKEN, Fault.BUSY]


def test_it_serves_a_shell() -> None:
    command = [sys.executable, "-m", "cotpd.testing.fake_server", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        url = process.stdout.readline().strip()
        question = {"messages": [{"role": "user", "content": "Jordan"}]}
        assert ask(url, "Jordan") == deterministic_reply(1, question)
        process.terminate()
