"""The fake server: deterministic answers, and the faults of its script."""

from __future__ import annotations

import subprocess
import sys

from cotpd.core.records import Grain, Knowledge, Post
from cotpd.knowledge.answers import parse_knowledge
from cotpd.knowledge.template import WORDINGS, Template
from cotpd.llm.call_error import CallError, Fault
from cotpd.llm.language_model import Message, Parameters, Request
from cotpd.llm.models.chat_model import ChatModel
from cotpd.testing.fake_server import FAULTS, FakeServer, deterministic_reply, every

POST = Post("1", "Jordan beat Oman in Amman", "a man jumps")


def ask(model: ChatModel, text: str) -> str:
    return model.answer(Request((Message("user", text),), Parameters(90))).text


def ask_once(server: FakeServer, text: str) -> str:
    with ChatModel("any", base_url=server.url, timeout=10) as model:
        return ask(model, text)


def test_an_answer_depends_only_on_the_question() -> None:
    with FakeServer() as one, FakeServer() as other:
        assert ask_once(one, "Jordan") == ask_once(one, "Jordan") == ask_once(other, "Jordan")
        assert ask_once(one, "Jordan") != ask_once(one, "Jordan ")
        assert (one.num_questions, len(one.questions)) == (4, 4)


def test_answers_to_every_template_are_accepted_as_knowledge() -> None:
    with FakeServer(keep=False) as server, ChatModel("any", base_url=server.url) as model:
        for grain in Grain:
            for wording in WORDINGS:
                answer = model.answer(Request(Template.of(grain, wording).render(POST), Parameters(90)))
                outcome = parse_knowledge(answer, POST, grain=grain, model="any", template=wording)
                assert isinstance(outcome, Knowledge), (grain, wording)
                assert {line.partition(":")[0] for line in answer.text.splitlines()} == {"Jordan", "Oman", "Amman"}
        assert server.questions == []


def test_faults_alternate_at_the_given_step() -> None:
    faults = []
    with FakeServer(every(2, [FAULTS["429"], FAULTS["500"]])) as server, ChatModel("any", base_url=server.url) as model:
        for number in range(8):
            try:
                ask(model, str(number))
            except CallError as error:
                faults.append(error.fault)
    assert faults == [Fault.TRANSIENT, Fault.BUSY, Fault.TRANSIENT, Fault.BUSY]


def test_the_module_runs_a_server_from_a_shell() -> None:
    command = [sys.executable, "-m", "cotpd.testing.fake_server", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        with ChatModel("any", base_url=process.stdout.readline().strip()) as model:
            question = {"messages": [{"role": "user", "content": "Jordan"}]}
            assert ask(model, "Jordan") == deterministic_reply(1, question)
        process.terminate()
