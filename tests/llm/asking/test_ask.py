"""Asking: every request once, whatever the endpoint does and whoever stops it."""

from __future__ import annotations

import math
import os
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from time import monotonic
from types import MappingProxyType
from typing import Any

import pytest

from cotpd.core.errors import BudgetReachedError, DataError, LanguageModelError, StoreError
from cotpd.llm.asking.ask import Failure, ask
from cotpd.llm.asking.ask import ask as ask_module
from cotpd.llm.asking.budget import Spending
from cotpd.llm.asking.policy import Budget, Policy, Price
from cotpd.llm.asking.progress import Progress
from cotpd.llm.asking.workers import Workers
from cotpd.llm.call_error import CallError, Fault
from cotpd.llm.language_model import Answer, Image, LanguageModel, Message, Parameters, Request
from cotpd.llm.models.chat_model import ChatModel
from cotpd.llm.store.replaying_model import ReplayingModel
from cotpd.llm.store.request_store import RequestStore
from cotpd.testing.fake_server import FAULTS, FakeServer, Reply
from cotpd.testing.scripted_model import ScriptedModel

SWIFT = Policy(concurrency=8, delay=0.001, pause=0.001, drain=30.0)


def request(about: object, /, **changes: Any) -> Request:
    asked = Request((Message("user", f"Who is {about}?"),), Parameters(20), about=about)
    return replace(asked, **changes)


def echo(messages: Sequence[Message]) -> Answer:
    return Answer(f"about: {messages[-1].content}", prompt_tokens=10, completion_tokens=5)


class Counting(ScriptedModel):
    """Counts what it is asked; ``raises`` are raised in turn before it answers."""

    def __init__(self, raises: Sequence[BaseException] = (), *, most_at_once: int = 1, name: str = "small") -> None:
        super().__init__(echo, name=name, most_at_once=most_at_once)
        self.asked: list[Request] = []
        self._raises = list(raises)

    def answer(self, request: Request) -> Answer:
        self.asked.append(request)
        if self._raises:
            raise self._raises.pop(0)
        return super().answer(request)


def run(requests: Sequence[Request], model: LanguageModel, **settings: Any) -> dict[object, Answer | Failure]:
    return {each.about: end for each, end in ask(requests, model, **{"policy": SWIFT} | settings)}


def test_every_request_comes_back_with_its_own_answer() -> None:
    ended = run([request(number) for number in range(50)], Counting(most_at_once=8))
    assert {about: end.text for about, end in ended.items() if isinstance(end, Answer)} == {
        number: f"about: Who is {number}?" for number in range(50)
    }


def test_the_same_question_is_one_call() -> None:
    """Fault 14, also while the first is still on its way."""
    model = Counting(most_at_once=4)
    requests = [request("Jordan", about=number) for number in range(20)]
    assert len(run(requests, model)) == 20
    assert len(model.asked) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"messages": (Message("user", "Who is Oman?"),)},
        {"messages": (Message("system", "Who is Jordan?"),)},
        {"messages": (Message("user", "Who is Jordan?", (Image.of_bytes(b"a", "image/png"),)),)},
        {"parameters": Parameters(21)},
        {"parameters": Parameters(20, temperature=0.5)},
        {"parameters": Parameters(20, seed=1)},
        {"schema": {"type": "object"}},
    ],
)
def test_what_decides_the_answer_decides_what_is_asked_again(change: dict[str, Any]) -> None:
    """Fault 16: and nothing else does."""
    first, others = request("Jordan"), [request(number) for number in range(3)]
    with RequestStore() as store:
        run([first, *others], Counting(), store=store)
        model = Counting()
        run([replace(first, **change), *reversed(others), replace(first, about="again")], model, store=store)
        assert [each.about for each in model.asked] == ["Jordan"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"parameters": Parameters(20, temperature=0)}, {"parameters": Parameters(20, temperature=0.0)}),
        ({"parameters": Parameters(20, top_p=1)}, {"parameters": Parameters(20, top_p=1.0)}),
        ({"schema": {"type": "object"}}, {"schema": MappingProxyType({"type": "object"})}),
    ],
)
def test_what_is_equal_is_the_same_question(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert request(1, **one) == request(1, **other)
    assert request(1, **one).key("", "") == request(1, **other).key("", "")


def test_another_picture_is_another_question() -> None:
    pictures = [Image.of_bytes(data, "image/png") for data in (b"a", b"b")]
    keys = {request(1, messages=(Message("user", "What?", (each,)),)).key("", "") for each in pictures}
    assert len(keys) == 2


def test_another_model_or_endpoint_is_asked_anew() -> None:
    same, other, elsewhere = Counting(), Counting(name="other"), Counting()
    elsewhere.endpoint = "http://elsewhere/v1"
    with RequestStore() as store:
        run([request(1)], Counting(), store=store)
        for model in (same, other, elsewhere):
            run([request(1)], model, store=store)
    assert [len(model.asked) for model in (same, other, elsewhere)] == [0, 1, 1]


def test_only_validated_answers_are_served() -> None:
    """A rejected one costs nothing again; a stored one is judged by who asks."""
    strict = request(1, validate=lambda answer: "too dull")
    with RequestStore() as store:
        assert run([strict], Counting(), store=store) == {1: Failure("too dull", echo(strict.messages))}
        model = Counting()
        assert run([strict], model, store=store)[1] == Failure("too dull", echo(strict.messages))
        assert run([request(1)], model, store=store) == {1: echo(strict.messages)}
        assert model.asked == []
        [mishap] = store.failed_attempts()
        assert (mishap.reason, mishap.answer) == ("too dull", echo(strict.messages))


def test_a_rejected_answer_is_asked_for_again_on_request() -> None:
    strict = request(1, validate=lambda answer: "too dull")
    with RequestStore() as store:
        run([strict], Counting(), store=store)
        model = Counting()
        run([strict], model, store=store, policy=replace(SWIFT, ask_again=True))
        assert len(model.asked) == 1
        assert len(list(store.failed_attempts())) == 2


def test_asked_again_the_same_question_is_still_one_call() -> None:
    """A post that was copied a hundred times would be paid a hundred times."""
    twins = [request("Jordan", about=number, validate=lambda answer: "too dull") for number in range(5)]
    with RequestStore() as store:
        run(twins, Counting(), store=store)
        model = Counting()
        ended = run(twins, model, store=store, policy=replace(SWIFT, ask_again=True))
        assert (len(model.asked), len(ended)) == (1, 5)


def test_questions_are_taken_as_they_are_needed() -> None:
    """Fault 22: a million rows must not lie in memory, whatever the endpoint does."""
    taken = 0

    def requests() -> Iterator[Request]:
        nonlocal taken
        for taken in range(1, 1_000_000):
            yield request(taken)

    for number, _ in enumerate(ask(requests(), Counting(most_at_once=8), policy=SWIFT), 1):
        assert taken <= number + 8
        if number == 100:
            break


def test_a_million_times_the_same_question_is_not_taken_at_once() -> None:
    """Fault 22."""
    release, taken = threading.Event(), 0

    def requests() -> Iterator[Request]:
        nonlocal taken
        for taken in range(1, 10**6):
            if taken == 2_000:
                release.set()
            yield request("Jordan", about=taken)

    model = ScriptedModel(lambda messages: "somebody" if release.wait(0.2) else "", most_at_once=2)
    next(ask(requests(), model, policy=SWIFT))
    assert taken < 2_000


def test_requests_that_wait_for_another_attempt_stay_few() -> None:
    """Fault 22: while every second one waits, the source is not read to its end."""
    taken, seen = 0, set[str]()

    def requests() -> Iterator[Request]:
        nonlocal taken
        for taken in range(1, 41):
            yield request(taken)

    def reply(messages: Sequence[Message]) -> Answer:
        text = messages[-1].content
        if int(text.split()[-1].rstrip("?")) % 2 and text not in seen:
            seen.add(text)
            raise CallError("not now", Fault.BROKEN)
        return echo(messages)

    model = ScriptedModel(reply, most_at_once=8)
    ended = ask(requests(), model, policy=replace(SWIFT, delay=1.0))
    assert max(taken - number for number, _ in enumerate(ended)) <= 16 + 1


@pytest.mark.parametrize(
    "faults", [[Fault.BROKEN] * 3, [Fault.BUSY] * 3, [Fault.BROKEN, Fault.BUSY]], ids=lambda faults: faults[0]
)
def test_what_fails_for_once_is_asked_again(faults: list[Fault]) -> None:
    model = Counting([CallError("not now", fault) for fault in faults])
    with RequestStore() as store:
        assert run([request(1)], model, store=store) == {1: echo(request(1).messages)}
        assert [each.reason for each in store.failed_attempts()] == ["not now"] * len(faults)
    assert len(model.asked) == 1 + len(faults)


@pytest.mark.parametrize(("error", "batches"), [(CallError("no", Fault.REFUSED), {"batch": 1}), (None, {})])
def test_an_attempt_that_fails_leaves_its_question_out_in_a_batch(
    error: CallError | None, batches: dict[str, int]
) -> None:
    """Else a second batch asks it as well; an answer ends it."""
    with RequestStore() as store:
        store.add_to_batch([request(1).key("script", "small")], "batch")
        run([request(1)], Counting([error] if error else []), store=store)
        assert store.batches() == batches


def test_a_request_that_always_fails_ends_alone() -> None:
    """A poisoned question must not end the others."""

    def reply(messages: Sequence[Message]) -> Answer:
        if "Who is 3?" in messages[-1].content:
            raise CallError("crash", Fault.BROKEN)
        return echo(messages)

    model = ScriptedModel(reply, most_at_once=2)
    ended = run([request(number) for number in range(30)], model, policy=replace(SWIFT, attempts=3))
    assert ended.pop(3) == Failure("crash")
    assert all(isinstance(end, Answer) for end in ended.values())


@pytest.mark.parametrize("fault", [Fault.BROKEN, Fault.BUSY])
@pytest.mark.parametrize("poisoned", [{29}, {0}, {3, 17, 28, 29}])
def test_questions_that_always_fail_end_alone_whoever_is_left(fault: Fault, poisoned: set[int]) -> None:
    """When the others are answered nothing but these fail, which looks like a dead endpoint; the run must end well."""

    def reply(messages: Sequence[Message]) -> Answer:
        if any(f"Who is {number}?" in messages[-1].content for number in poisoned):
            raise CallError("crash", fault)
        return echo(messages)

    ended = run([request(number) for number in range(30)], ScriptedModel(reply, most_at_once=4))
    assert {about for about, end in ended.items() if isinstance(end, Failure)} == poisoned
    assert len(ended) == 30


@pytest.mark.parametrize("at_once", [1, 4])
def test_a_question_that_is_always_turned_away_does_not_hold_up_the_run(at_once: int) -> None:
    """Some endpoints are busy, for ever, when a question is larger than their rate: the breaker must not take that
    for the end of the endpoint, nor the others wait for it."""
    num_turned_away = 0

    def reply(messages: Sequence[Message]) -> Answer:
        nonlocal num_turned_away
        if "Who is 0?" in messages[-1].content:
            num_turned_away += 1
            raise CallError("too large", Fault.BUSY, retry_after=0.0)
        return echo(messages)

    model, policy = ScriptedModel(reply, most_at_once=at_once), replace(SWIFT, concurrency=at_once)
    ended = ask((request(number) for number in range(10**6)), model, policy=policy)
    assert next(end for each, end in ended if each.about == 0) == Failure("too large")
    assert num_turned_away == ask_module._MOST_TURNED_AWAY


def test_a_refused_request_is_not_asked_again() -> None:
    model = Counting([CallError("bad picture", Fault.REFUSED)])
    ended = run([request(1), request(2)], model)
    assert ended == {1: Failure("bad picture"), 2: echo(request(2).messages)}
    assert not Failure("bad picture").is_rejection


@pytest.mark.parametrize(
    "error",
    [LanguageModelError("closed"), CallError("no key", Fault.FINAL), DataError("picture gone"), ValueError("a bug")],
)
def test_what_is_final_reaches_the_caller_and_what_came_is_kept(error: Exception) -> None:
    with RequestStore() as store:
        model = Counting([error])
        model.most_at_once = 2
        with pytest.raises(type(error), match=str(error)):
            list(ask([request(number) for number in range(9)], model, store=store, policy=SWIFT))
        assert len(list(store)) == len(model.asked) - 1


def test_an_answer_that_never_comes_is_given_up() -> None:
    """Fault 6: whatever holds it up, a header sent a byte at a time for one."""
    release, silent = threading.Event(), iter([True])

    def reply(messages: Sequence[Message]) -> Answer:
        if next(silent, False):
            release.wait()
        return echo(messages)

    policy = replace(SWIFT, longest_answer=0.2, attempts=100, breaker=100)
    assert isinstance(run([request(1)], ScriptedModel(reply), policy=policy)[1], Answer)
    release.set()


def test_an_answer_may_take_for_ever_where_nobody_minds() -> None:
    """As of a local model."""
    assert len(run([request(1)], Counting(), policy=replace(SWIFT, longest_answer=math.inf))) == 1


def test_a_caller_who_stops_loses_nothing_that_was_on_its_way() -> None:
    """Fault 2: what is paid for is kept."""
    gate = threading.Event()

    def reply(messages: Sequence[Message]) -> Answer:
        if "Who is 0?" not in messages[-1].content:
            gate.wait()
        return echo(messages)

    with RequestStore() as store:
        run_of_all = ask(
            [request(number) for number in range(100)], ScriptedModel(reply, most_at_once=4), store=store, policy=SWIFT
        )
        next(run_of_all)
        gate.set()
        run_of_all.close()
        assert 4 <= len(list(store)) <= 5


@pytest.mark.parametrize("moment", ["taken", "judged", "kept"])
def test_an_interrupt_while_answers_are_kept_loses_none(moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault 2: nor does the end then wait for what has come already."""
    moments = iter([KeyboardInterrupt()])

    def interrupt(now: str, is_due: object) -> None:
        if now == moment and is_due and (error := next(moments, None)):
            raise error

    wait, add = Workers.wait, RequestStore.add

    def wait_or_stop(workers: Workers[Any], seconds: float | None) -> list[Any]:
        ended = wait(workers, seconds)
        interrupt("taken", ended)
        return ended

    def add_or_stop(store: RequestStore, kept: Sequence[Any], mishaps: Sequence[Any]) -> None:
        interrupt("kept", kept)
        add(store, kept, mishaps)

    monkeypatch.setattr(Workers, "wait", wait_or_stop)
    monkeypatch.setattr(RequestStore, "add", add_or_stop)
    model, started = Counting(most_at_once=4), monotonic()
    with RequestStore() as store:
        with pytest.raises(KeyboardInterrupt):
            run(
                [request(number, validate=lambda said: interrupt("judged", said)) for number in range(9)],
                model,
                store=store,
            )
        assert len(list(store)) == len(model.asked)
    assert monotonic() - started < SWIFT.drain / 2


def test_a_stopped_run_does_not_wait_for_ever() -> None:
    """Fault 2: five seconds by default."""
    release = threading.Event()

    def reply(messages: Sequence[Message]) -> Answer:
        if "Who is 1?" in messages[-1].content:
            release.wait()
        return echo(messages)

    policy = replace(SWIFT, drain=0.05)
    asked = ask([request(0), request(1)], ScriptedModel(reply, most_at_once=2), policy=policy)
    next(asked)
    asked.close()
    release.set()


@pytest.mark.parametrize(
    ("budget", "num_asked"),
    [
        (Budget(requests=4), 4),
        (Budget(requests=0), 0),
        (Budget(tokens=100), 5),
        (Budget(money=0.0001), 5),
    ],
)
def test_a_budget_stops_before_the_next_request(budget: Budget, num_asked: int) -> None:
    """Fault 12: never one too many, and the next run goes on. A question is 13 to read, at most 20 to write."""
    policy = replace(SWIFT, budget=budget, price=Price(1.0, 1.0))
    requests, model = [request(number) for number in range(12)], Counting(most_at_once=8)
    with RequestStore() as store:
        with pytest.raises(BudgetReachedError, match="nothing is asked twice"):
            list(ask(requests, model, store=store, policy=policy))
        assert len(model.asked) == len(list(store)) == num_asked
        assert len(run(requests, model, store=store)) == len(model.asked) == 12


def test_failed_attempts_count_in_the_budget() -> None:
    model = Counting([CallError("not now", Fault.BROKEN)] * 2)
    with pytest.raises(BudgetReachedError):
        list(ask([request(1), request(2)], model, policy=replace(SWIFT, budget=Budget(requests=3))))
    assert len(model.asked) == 3


@pytest.mark.parametrize(
    ("spent", "most_asked", "cost"), [(None, 10, 0.0), ((20, 10), 3, 90.0), ((0, 0), 3, None)], ids=str
)
def test_failed_attempts_that_are_billed_count_in_a_budget_of_tokens(
    spent: tuple[int, int] | None, most_asked: int, cost: float | None
) -> None:
    """An answer that broke off is paid for, and one that never came may be: its cost is then unknown, and not 0."""
    policy = replace(SWIFT, budget=Budget(tokens=100, requests=10), price=Price(1e6, 1e6), attempts=99, breaker=99)
    model, spending = Counting([CallError("broke off", Fault.BROKEN, spent=spent)] * 99), Spending(policy)
    with pytest.raises(BudgetReachedError):
        run([request(1)], model, policy=policy, spending=spending)
    assert (len(model.asked), spending.cost) == (most_asked, cost)


def test_a_server_that_tells_no_tokens_is_taken_to_have_cost_the_most() -> None:
    """Fault 12: a budget of tokens must end such a run, too; its cost is unknown, and not 0."""
    seen: list[Progress] = []
    model = ScriptedModel(lambda messages: "fine")
    policy = replace(SWIFT, budget=Budget(tokens=100), price=Price(1.0, 1.0))
    with pytest.raises(BudgetReachedError):
        list(ask([request(number) for number in range(12)], model, policy=policy, listener=seen.append))
    assert (len(seen), seen[-1].prompt_tokens, seen[-1].cost) == (3, 0, None)


@pytest.mark.parametrize(("tokens", "num_asked"), [(30_000, 1), (60_000, 2), (120_000, 4)])
def test_a_budget_holds_when_pictures_take_more_than_was_thought(tokens: int, num_asked: int) -> None:
    """Some models take 25,501 tokens for one: the first answer tells, and the others wait for it."""
    asked: list[Sequence[Message]] = []

    def reply(messages: Sequence[Message]) -> Answer:
        asked.append(messages)
        return Answer("a field", prompt_tokens=25_501, completion_tokens=10)

    pictures = [Image.of_bytes(bytes([number]), "image/png") for number in range(12)]
    requests = [request(each, messages=(Message("user", "What?", (each,)),)) for each in pictures]
    policy = replace(SWIFT, budget=Budget(tokens=tokens))
    with pytest.raises(BudgetReachedError):
        list(ask(requests, ScriptedModel(reply, most_at_once=8), policy=policy))
    assert len(asked) == num_asked


@pytest.mark.parametrize("budget", [Budget(tokens=2_000), Budget(money=0.002)])
def test_a_budget_holds_when_answers_are_longer_than_was_asked_for(budget: Budget) -> None:
    """Thoughts that no limit counts, and servers that heed none: the first answer tells."""
    model = ScriptedModel(lambda messages: Answer("a thought", prompt_tokens=13, completion_tokens=400), most_at_once=8)
    seen: list[Progress] = []
    policy = replace(SWIFT, budget=budget, price=Price(1.0, 1.0))
    with pytest.raises(BudgetReachedError):
        list(ask(map(request, range(12)), model, policy=policy, listener=seen.append))
    assert (len(seen), seen[-1].prompt_tokens + seen[-1].completion_tokens) == (4, 4 * 413)


def test_without_a_budget_of_tokens_nobody_waits_for_the_first_answer() -> None:
    together = threading.Barrier(4)

    def reply(messages: Sequence[Message]) -> Answer:
        together.wait(10)
        return echo(messages)

    policy = replace(SWIFT, budget=Budget(requests=4))
    assert len(run([request(number) for number in range(4)], ScriptedModel(reply, most_at_once=4), policy=policy)) == 4


@pytest.mark.parametrize("reason", ["too_long", "content_filter"])
def test_a_question_that_was_refused_unread_leaves_the_cost_known(reason: str) -> None:
    seen: list[Progress] = []
    model = ScriptedModel(lambda asked: Answer("", reason) if "Who is 0?" in asked[-1].content else echo(asked))
    policy = replace(SWIFT, budget=Budget(tokens=100), price=Price(1e6, 1e6))
    with pytest.raises(BudgetReachedError):
        list(ask([request(number) for number in range(12)], model, policy=policy, listener=seen.append))
    assert (seen[-1].asked, seen[-1].cost) == (6, 75.0)


def test_a_budget_may_be_for_several_calls() -> None:
    model, policy = ScriptedModel(lambda messages: "fine"), replace(SWIFT, budget=Budget(tokens=100))
    spending = Spending(policy)
    assert len(run([request(1), request(2)], model, policy=policy, spending=spending)) == 2
    with pytest.raises(BudgetReachedError):
        run([request(3), request(4)], model, policy=policy, spending=spending)
    assert spending.attempts == 3


def test_progress_counts_everything() -> None:
    seen: list[Progress] = []
    requests = [
        request(1),
        request(2, validate=lambda answer: "dull"),
        request(1, about="twin"),
        request(3),
    ]
    with RequestStore() as store:
        run([request(3)], Counting(), store=store)
        model = Counting([CallError("not now", Fault.BROKEN)])
        run(requests, model, store=store, listener=seen.append, policy=replace(SWIFT, price=Price(1e6, 1e6)))
    last = seen[-1]
    assert (last.served + last.answered, last.rejected, last.failed, last.done) == (3, 1, 0, 4)
    assert last.served in (1, 2), "the twin is answered with the first, or, if that is over, from the store"
    assert last.asked == 2, "the twin is no question of its own"
    assert (last.attempts, last.prompt_tokens, last.completion_tokens, last.cost) == (3, 20, 10, 30.0)
    assert [each.done for each in seen] == sorted(each.done for each in seen)
    assert (last.seconds_left(7) or 0) == pytest.approx(3 / last.rate)
    assert Progress().cost is Progress().seconds_left(7) is None


def test_a_read_only_store_answers_what_it_can() -> None:
    with RequestStore() as store:
        run([request(1)], Counting(), store=store)
        store.read_only = True
        model = Counting()
        assert len(run([request(1)], model, store=store)) == 1
        with pytest.raises(StoreError, match="read-only and without an answer"):
            run([request(1), request(2)], model, store=store)
        assert model.asked == []


def test_a_recording_answers_and_never_asks() -> None:
    with RequestStore() as store:
        run([request(1)], Counting(), store=store)
        recorded = ReplayingModel(store, name="small", endpoint="script")
        assert recorded.answer(request(1)) == echo(request(1).messages)
        requests = [request(number) for number in range(300)]
        store.add_to_batch([requests[0].key("script", "small")], "batch")
        ended = run(requests, recorded, store=store)
        assert (list(store.failed_attempts()), store.batches()) == ([], {"batch": 1}), "nobody was asked"
    assert [about for about, end in ended.items() if isinstance(end, Answer)] == [1]
    assert ended[0] == Failure("small was never asked this")


def test_an_image_that_changed_in_between_is_not_sent(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"one")
    image = Image.of_file(tmp_path / "a.png", "image/png")
    assert image.read() == b"one"
    (tmp_path / "a.png").write_bytes(b"two")
    with pytest.raises(DataError, match=r"a\.png: the picture changed"):
        image.read()


@pytest.fixture
def chat(chat_server: FakeServer) -> Iterator[ChatModel]:
    with ChatModel("small", base_url=chat_server.url, timeout=5) as model:
        yield model


FAULTY = [name for name in FAULTS if name not in ("401", "quota", "hang", "trickle", "429", "empty")]


@pytest.mark.parametrize("fault", FAULTY)
def test_faults_of_an_endpoint_cost_an_attempt_and_no_question(
    fault: str, chat: ChatModel, chat_server: FakeServer
) -> None:
    """Faults 5 to 7: every fifth question meets one."""
    chat_server.script = lambda number, question: FAULTS[fault] if number % 5 == 0 else f"answer {number}"
    ended = run([request(number) for number in range(20)], chat)
    assert all(isinstance(end, Answer) for end in ended.values())
    assert chat_server.num_questions == 24


@pytest.mark.parametrize("fault", ["401", "quota"])
def test_a_refused_key_or_a_spent_quota_stops_at_once(fault: str, chat: ChatModel, chat_server: FakeServer) -> None:
    """Fault 4."""
    chat_server.script = lambda number, question: FAULTS[fault]
    with pytest.raises(CallError, match=r"no such key|fill up the account"):
        run([request(number) for number in range(100)], chat, policy=replace(SWIFT, concurrency=3))
    assert chat_server.num_questions <= 3


def test_a_dead_endpoint_is_given_up_soon(chat: ChatModel, chat_server: FakeServer) -> None:
    """Fault 5: after the first answers nothing but 500."""
    chat_server.script = lambda number, question: "fine" if number <= 10 else FAULTS["500"]
    with RequestStore() as store:
        with pytest.raises(LanguageModelError, match="nothing but failures, also after a pause"):
            list(ask((request(number) for number in range(1_000)), chat, store=store, policy=SWIFT))
        assert len(list(store)) == 10
    assert chat_server.num_questions < 10 + 8 * 6


def test_a_busy_endpoint_is_asked_by_fewer(chat: ChatModel, chat_server: FakeServer) -> None:
    """Fault 4: it takes two at once and turns the others away."""
    chat_server.script = lambda number, question: Reply("fine", latency=0.01)
    answer = chat_server.script
    lock = threading.Lock()
    turned_away = 0

    def script(number: int, question: dict[str, Any]) -> Reply | str:
        nonlocal turned_away
        with lock:
            if chat_server.num_open > 2:
                turned_away += 1
                return Reply(body=b"{}", status=429, headers={"Retry-After": "0.01"})
        return answer(number, question)

    chat_server.script = script
    ended = run([request(number) for number in range(60)], chat, policy=replace(SWIFT, breaker=50))
    assert all(isinstance(end, Answer) for end in ended.values())
    assert 0 < turned_away < 60


def test_another_model_than_asked_is_recorded(chat: ChatModel, chat_server: FakeServer) -> None:
    """Fault 11."""
    body = b'{"model": "cheaper", "choices": [{"message": {"content": "fine"}}]}'
    chat_server.script = lambda number, question: Reply(body=body)
    with RequestStore() as store:
        run([request(1)], chat, store=store)
        [kept] = store
        assert (kept.model, kept.answer.model) == ("small", "cheaper")


def test_no_more_sockets_than_requests_at_once(chat: ChatModel, chat_server: FakeServer) -> None:
    """Fault 22."""
    before = len(os.listdir("/proc/self/fd"))
    most = 0

    def watch(progress: Progress) -> None:
        nonlocal most
        most = max(most, len(os.listdir("/proc/self/fd")))

    run([request(number) for number in range(200)], chat, listener=watch)
    assert most - before <= 2 * 8 + 4


def test_only_monotonic_time_decides() -> None:
    """Fault 20: a clock that jumps moves no wait and no time-out; it only stamps rows and reads HTTP dates."""
    sources = sorted(Path(ask_module.__file__).parent.glob("*.py"))
    wall = re.compile(r"time\.time\b|from time import .*\btime\b|datetime\.now")
    assert [path.name for path in sources if wall.search(path.read_text("utf-8"))] == [
        "request_store.py",
        "retry_after.py",
    ]
