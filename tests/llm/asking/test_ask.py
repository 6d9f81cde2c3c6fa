"""`ask`: every request is answered once, whatever the endpoint does and whoever stops the run."""

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

import cotpd.llm
from cotpd.core.errors import DataError, LanguageModelError, StoreError
from cotpd.llm.asking.ask import MAX_BUSY_REPLIES, Failure, ask
from cotpd.llm.asking.budget import Spending
from cotpd.llm.asking.policy import Policy, Price
from cotpd.llm.asking.progress import AskingProgress
from cotpd.llm.asking.workers import Workers
from cotpd.llm.call_error import CallError, Fault
from cotpd.llm.language_model import Answer, Image, LanguageModel, Message, Parameters, Request
from cotpd.llm.models.chat_model import ChatModel
from cotpd.llm.store.replaying_model import ReplayingModel
from cotpd.llm.store.request_store import RequestStore
from cotpd.testing.fake_server import FAULTS, FakeServer, Reply
from cotpd.testing.scripted_model import ScriptedModel

FAST = Policy(concurrency=8, delay=0.001, pause=0.001, drain=30.0)


def request(about: object, /, **changes: Any) -> Request:
    asked = Request((Message("user", f"Who is {about}?"),), Parameters(20), about=about)
    return replace(asked, **changes)


def echo(messages: Sequence[Message]) -> Answer:
    return Answer(f"about: {messages[-1].content}", prompt_tokens=10, completion_tokens=5)


class RecordingModel(ScriptedModel):
    """Records its requests. Before it answers, it raises ``errors`` in turn."""

    def __init__(self, errors: Sequence[BaseException] = (), *, max_concurrency: int = 1, name: str = "small") -> None:
        super().__init__(echo, name=name, max_concurrency=max_concurrency)
        self.requests: list[Request] = []
        self._errors = list(errors)

    def answer(self, request: Request) -> Answer:
        self.requests.append(request)
        if self._errors:
            raise self._errors.pop(0)
        return super().answer(request)


def run(requests: Sequence[Request], model: LanguageModel, **settings: Any) -> dict[object, Answer | Failure]:
    return {each.about: result for each, result in ask(requests, model, **{"policy": FAST} | settings)}


def test_every_request_gets_its_own_answer() -> None:
    results = run([request(number) for number in range(50)], RecordingModel(max_concurrency=8))
    assert {about: result.text for about, result in results.items() if isinstance(result, Answer)} == {
        number: f"about: Who is {number}?" for number in range(50)
    }


def test_duplicate_questions_in_flight_are_sent_once() -> None:
    model = RecordingModel(max_concurrency=4)
    duplicates = [request("Jordan", about=number) for number in range(20)]
    assert len(run(duplicates, model)) == 20
    assert len(model.requests) == 1


def test_a_changed_question_is_the_only_one_that_is_sent_again() -> None:
    first, others = request("Jordan"), [request(number) for number in range(3)]
    changes: list[dict[str, Any]] = [
        {"messages": (Message("user", "Who is Oman?"),)},
        {"messages": (Message("system", "Who is Jordan?"),)},
        {"messages": (Message("user", "Who is Jordan?", (Image.of_bytes(b"a", "image/png"),)),)},
        {"messages": (Message("user", "Who is Jordan?", (Image.of_bytes(b"b", "image/png"),)),)},
        {"parameters": Parameters(21)},
        {"parameters": Parameters(20, temperature=0.5)},
        {"parameters": Parameters(20, seed=1)},
        {"schema": {"type": "object"}},
    ]
    with RequestStore() as store:
        run([first, *others], RecordingModel(), store=store)
        for change in changes:
            model = RecordingModel()
            run([replace(first, **change), *reversed(others), replace(first, about="again")], model, store=store)
            assert [each.about for each in model.requests] == ["Jordan"], change


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"parameters": Parameters(20, temperature=0)}, {"parameters": Parameters(20, temperature=0.0)}),
        ({"parameters": Parameters(20, top_p=1)}, {"parameters": Parameters(20, top_p=1.0)}),
        ({"schema": {"type": "object"}}, {"schema": MappingProxyType({"type": "object"})}),
    ],
)
def test_equal_requests_have_equal_keys(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert request(1, **one) == request(1, **other)
    assert request(1, **one).key("", "") == request(1, **other).key("", "")


def test_another_model_name_or_endpoint_gets_its_own_answer() -> None:
    same, other_name, other_endpoint = RecordingModel(), RecordingModel(name="other"), RecordingModel()
    other_endpoint.endpoint = "http://elsewhere/v1"
    with RequestStore() as store:
        run([request(1)], RecordingModel(), store=store)
        for model in (same, other_name, other_endpoint):
            run([request(1)], model, store=store)
    assert [len(model.requests) for model in (same, other_name, other_endpoint)] == [0, 1, 1]


def test_stored_answers_are_validated_again() -> None:
    """A stored rejected answer costs nothing again, and a request with another validator may accept it."""
    strict = request(1, validate=lambda answer: "too dull")
    with RequestStore() as store:
        assert run([strict], RecordingModel(), store=store) == {1: Failure("too dull", echo(strict.messages))}
        model = RecordingModel()
        assert run([strict], model, store=store)[1] == Failure("too dull", echo(strict.messages))
        assert run([request(1)], model, store=store) == {1: echo(strict.messages)}
        assert model.requests == []
        [attempt] = store.failed_attempts()
        assert (attempt.reason, attempt.answer) == ("too dull", echo(strict.messages))


def test_ask_again_repeats_rejected_questions_once() -> None:
    """A question with a hundred duplicates must not be paid a hundred times."""
    duplicates = [request("Jordan", about=number, validate=lambda answer: "too dull") for number in range(5)]
    with RequestStore() as store:
        run(duplicates, RecordingModel(), store=store)
        model = RecordingModel()
        results = run(duplicates, model, store=store, policy=replace(FAST, ask_again=True))
        assert (len(model.requests), len(results)) == (1, 5)
        assert len(list(store.failed_attempts())) == 2


def test_requests_are_consumed_as_they_are_needed() -> None:
    """A million rows must not be in memory at once."""
    taken = 0

    def requests() -> Iterator[Request]:
        nonlocal taken
        for taken in range(1, 1_000_000):
            yield request(taken)

    for number, _ in enumerate(ask(requests(), RecordingModel(max_concurrency=8), policy=FAST), 1):
        assert taken <= number + 8
        if number == 100:
            break


def test_a_million_duplicates_are_not_consumed_at_once() -> None:
    release, taken = threading.Event(), 0

    def requests() -> Iterator[Request]:
        nonlocal taken
        for taken in range(1, 10**6):
            if taken == 2_000:
                release.set()
            yield request("Jordan", about=taken)

    model = ScriptedModel(lambda messages: "somebody" if release.wait(0.05) else "", max_concurrency=2)
    next(ask(requests(), model, policy=FAST))
    assert taken < 2_000


def test_few_requests_wait_for_a_retry() -> None:
    """While every second question waits for a retry, the source must not be consumed to its end."""
    taken, seen = 0, set[str]()

    def requests() -> Iterator[Request]:
        nonlocal taken
        for taken in range(1, 41):
            yield request(taken)

    def reply(messages: Sequence[Message]) -> Answer:
        text = messages[-1].content
        if int(text.split()[-1].rstrip("?")) % 2 and text not in seen:
            seen.add(text)
            raise CallError("not now", Fault.TRANSIENT)
        return echo(messages)

    model = ScriptedModel(reply, max_concurrency=8)
    results = ask(requests(), model, policy=replace(FAST, delay=0.2))
    assert max(taken - number for number, _ in enumerate(results)) <= 16 + 1


@pytest.mark.parametrize(
    "faults",
    [[Fault.TRANSIENT] * 3, [Fault.BUSY] * 3, [Fault.TRANSIENT, Fault.BUSY]],
    ids=["transient", "busy", "both"],
)
def test_a_temporary_failure_is_retried_and_recorded(faults: list[Fault]) -> None:
    model = RecordingModel([CallError("not now", fault) for fault in faults])
    with RequestStore() as store:
        assert run([request(1)], model, store=store) == {1: echo(request(1).messages)}
        assert [each.reason for each in store.failed_attempts()] == ["not now"] * len(faults)
    assert len(model.requests) == 1 + len(faults)


@pytest.mark.parametrize(("error", "batches"), [(CallError("no", Fault.REFUSED), {"batch": 1}), (None, {})])
def test_only_an_answer_removes_a_question_from_its_batch(error: CallError | None, batches: dict[str, int]) -> None:
    """After a failed attempt the batch may still bring the answer, so a second batch must not contain the question."""
    with RequestStore() as store:
        store.add_to_batch([request(1).key("script", "small")], "batch")
        run([request(1)], RecordingModel([error] if error else []), store=store)
        assert store.batches() == batches


@pytest.mark.parametrize("fault", [Fault.TRANSIENT, Fault.BUSY])
@pytest.mark.parametrize("failing", [{29}, {0}, {3, 17, 28, 29}], ids=str)
def test_questions_that_always_fail_do_not_end_the_run(fault: Fault, failing: set[int]) -> None:
    """When all others are answered, only failures are left, which looks like an unreachable endpoint."""

    def reply(messages: Sequence[Message]) -> Answer:
        if any(f"Who is {number}?" in messages[-1].content for number in failing):
            raise CallError("crash", fault)
        return echo(messages)

    results = run([request(number) for number in range(30)], ScriptedModel(reply, max_concurrency=4))
    assert {about for about, result in results.items() if isinstance(result, Failure)} == failing
    assert len(results) == 30


def test_a_request_fails_after_the_maximum_number_of_attempts() -> None:
    num_attempts = 0

    def reply(messages: Sequence[Message]) -> Answer:
        nonlocal num_attempts
        if "Who is 3?" in messages[-1].content:
            num_attempts += 1
            raise CallError("crash", Fault.TRANSIENT)
        return echo(messages)

    model = ScriptedModel(reply, max_concurrency=2)
    results = run([request(number) for number in range(30)], model, policy=replace(FAST, attempts=3))
    assert results.pop(3) == Failure("crash")
    assert num_attempts == 3
    assert all(isinstance(result, Answer) for result in results.values())


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_question_that_is_always_rejected_as_busy_does_not_block_the_run(concurrency: int) -> None:
    """Some endpoints reply "busy" for ever to a question that exceeds their rate limit. The circuit breaker must not
    take that for an overloaded endpoint, and the other questions must not wait for it."""
    num_rejections = 0

    def reply(messages: Sequence[Message]) -> Answer:
        nonlocal num_rejections
        if "Who is 0?" in messages[-1].content:
            num_rejections += 1
            raise CallError("too large", Fault.BUSY, retry_after=0.0)
        return echo(messages)

    model, policy = ScriptedModel(reply, max_concurrency=concurrency), replace(FAST, concurrency=concurrency)
    results = ask((request(number) for number in range(10**6)), model, policy=policy)
    assert next(result for each, result in results if each.about == 0) == Failure("too large")
    assert num_rejections == MAX_BUSY_REPLIES


def test_a_refused_request_is_not_retried() -> None:
    model = RecordingModel([CallError("bad picture", Fault.REFUSED)])
    results = run([request(1), request(2)], model)
    assert results == {1: Failure("bad picture"), 2: echo(request(2).messages)}
    assert len(model.requests) == 2
    assert not Failure("bad picture").is_rejection


@pytest.mark.parametrize(
    "error",
    [LanguageModelError("closed"), CallError("no key", Fault.FATAL), DataError("picture gone"), ValueError("a bug")],
    ids=lambda error: type(error).__name__,
)
def test_a_fatal_error_reaches_the_caller_and_answers_in_flight_are_stored(error: Exception) -> None:
    with RequestStore() as store:
        model = RecordingModel([error])
        model.max_concurrency = 2
        with pytest.raises(type(error), match=str(error)):
            list(ask([request(number) for number in range(9)], model, store=store, policy=FAST))
        assert len(list(store)) == len(model.requests) - 1


def test_an_answer_that_never_comes_is_abandoned_and_retried() -> None:
    release, hangs = threading.Event(), iter([True])

    def reply(messages: Sequence[Message]) -> Answer:
        if next(hangs, False):
            release.wait()
        return echo(messages)

    policy = replace(FAST, answer_timeout=0.05, attempts=100, breaker=100)
    assert isinstance(run([request(1)], ScriptedModel(reply), policy=policy)[1], Answer)
    release.set()


def test_the_time_for_an_answer_may_be_unlimited() -> None:
    assert len(run([request(1)], RecordingModel(), policy=replace(FAST, answer_timeout=math.inf))) == 1


def test_a_caller_who_stops_early_loses_no_answer_in_flight() -> None:
    gate = threading.Event()

    def reply(messages: Sequence[Message]) -> Answer:
        if "Who is 0?" not in messages[-1].content:
            gate.wait()
        return echo(messages)

    with RequestStore() as store:
        model = ScriptedModel(reply, max_concurrency=4)
        results = ask([request(number) for number in range(100)], model, store=store, policy=FAST)
        next(results)
        gate.set()
        results.close()
        assert 4 <= len(list(store)) <= 5


@pytest.mark.parametrize("moment", ["waiting", "validating", "storing"])
def test_an_interrupt_loses_no_answer(moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does the run wait afterwards for answers that have already arrived."""
    interrupts = iter([KeyboardInterrupt()])

    def interrupt(now: str, has_answers: object) -> None:
        if now == moment and has_answers and (error := next(interrupts, None)):
            raise error

    wait, add = Workers.wait, RequestStore.add

    def wait_or_stop(workers: Workers[Any], seconds: float | None) -> list[Any]:
        finished = wait(workers, seconds)
        interrupt("waiting", finished)
        return finished

    def add_or_stop(store: RequestStore, answers: Sequence[Any], *others: Any) -> None:
        interrupt("storing", answers)
        add(store, answers, *others)

    monkeypatch.setattr(Workers, "wait", wait_or_stop)
    monkeypatch.setattr(RequestStore, "add", add_or_stop)
    model, started = RecordingModel(max_concurrency=4), monotonic()
    requests = [request(number, validate=lambda answer: interrupt("validating", answer)) for number in range(9)]
    with RequestStore() as store:
        with pytest.raises(KeyboardInterrupt):
            run(requests, model, store=store)
        assert len(list(store)) == len(model.requests)
    assert monotonic() - started < FAST.drain / 2


def test_a_stopped_run_waits_only_for_the_drain_time() -> None:
    release = threading.Event()

    def reply(messages: Sequence[Message]) -> Answer:
        if "Who is 1?" in messages[-1].content:
            release.wait()
        return echo(messages)

    model, policy = ScriptedModel(reply, max_concurrency=2), replace(FAST, drain=0.05)
    results = ask([request(0), request(1)], model, policy=policy)
    next(results)
    results.close()
    release.set()


def test_progress_counts_every_outcome() -> None:
    seen: list[AskingProgress] = []
    requests = [request(1), request(2, validate=lambda answer: "dull"), request(1, about="duplicate"), request(3)]
    with RequestStore() as store:
        run([request(3)], RecordingModel(), store=store)
        model = RecordingModel([CallError("not now", Fault.TRANSIENT)])
        run(requests, model, store=store, listener=seen.append, policy=replace(FAST, price=Price(1e6, 1e6)))
    last = seen[-1]
    assert (last.served + last.answered, last.rejected, last.failed, last.done) == (3, 1, 0, 4)
    assert last.served in (1, 2), "the duplicate is answered with the first, or from the store if that has finished"
    assert last.asked == 2, "the duplicate is not a question of its own"
    assert (last.attempts, last.prompt_tokens, last.completion_tokens, last.cost) == (3, 20, 10, 30.0)
    assert [each.done for each in seen] == sorted(each.done for each in seen)
    assert (last.seconds_left(7) or 0) == pytest.approx(3 / last.rate)
    assert AskingProgress().cost is AskingProgress().seconds_left(7) is None


def test_a_read_only_store_answers_but_takes_no_new_questions() -> None:
    with RequestStore() as store:
        run([request(1)], RecordingModel(), store=store)
        store.read_only = True
        model = RecordingModel()
        assert len(run([request(1)], model, store=store)) == 1
        with pytest.raises(StoreError, match="read-only and has no answer to a question"):
            run([request(1), request(2)], model, store=store)
        assert model.requests == []


def test_a_recording_answers_and_counts_missing_questions_as_failures() -> None:
    with RequestStore() as store:
        run([request(1)], RecordingModel(), store=store)
        recorded = ReplayingModel(store, name="small", endpoint="script")
        assert recorded.answer(request(1)) == echo(request(1).messages)
        requests = [request(number) for number in range(300)]
        store.add_to_batch([requests[0].key("script", "small")], "batch")
        results = run(requests, recorded, store=store)
        assert (list(store.failed_attempts()), store.batches()) == ([], {"batch": 1}), "no model was called"
    assert [about for about, result in results.items() if isinstance(result, Answer)] == [1]
    assert isinstance(results[0], Failure)
    assert not results[0].is_rejection


def test_an_image_file_that_changed_is_not_sent(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"one")
    image = Image.of_file(tmp_path / "a.png", "image/png")
    assert image.read() == b"one"
    (tmp_path / "a.png").write_bytes(b"two")
    with pytest.raises(DataError, match=r"a\.png: the image file changed"):
        image.read()


@pytest.fixture
def chat(chat_server: FakeServer) -> Iterator[ChatModel]:
    with ChatModel("small", base_url=chat_server.url, timeout=5) as model:
        yield model


def test_temporary_faults_of_an_endpoint_cost_one_attempt_each(chat: ChatModel, chat_server: FakeServer) -> None:
    for fault in ("500", "529", "html", "torn", "reset"):
        chat_server.num_questions = 0
        chat_server.script = lambda number, question, fault=fault: (
            FAULTS[fault] if number % 5 == 0 else f"answer {number}"
        )
        results = run([request(number) for number in range(20)], chat)
        assert all(isinstance(result, Answer) for result in results.values()), fault
        assert chat_server.num_questions == 24, fault


@pytest.mark.parametrize("fault", ["401", "quota"])
def test_a_refused_key_or_an_exhausted_quota_stops_the_run(
    fault: str, chat: ChatModel, chat_server: FakeServer
) -> None:
    chat_server.script = lambda number, question: FAULTS[fault]
    with pytest.raises(CallError, match=r"no such key|top up the account"):
        run([request(number) for number in range(100)], chat, policy=replace(FAST, concurrency=3))
    assert chat_server.num_questions <= 3


def test_an_endpoint_that_stops_answering_ends_the_run_after_few_attempts(
    chat: ChatModel, chat_server: FakeServer
) -> None:
    chat_server.script = lambda number, question: "fine" if number <= 10 else FAULTS["500"]
    with RequestStore() as store:
        with pytest.raises(LanguageModelError, match="every attempt failed, also after a pause"):
            list(ask((request(number) for number in range(1_000)), chat, store=store, policy=FAST))
        assert len(list(store)) == 10
    assert chat_server.num_questions < 10 + 8 * 6


def test_a_model_that_is_loading_is_waited_for_without_counting_attempts(
    chat: ChatModel, chat_server: FakeServer
) -> None:
    loading = Reply(body=b'{"error": {"message": "Loading model", "code": 503}}', status=503)
    chat_server.script = lambda number, question: loading if number <= 60 else "fine"
    spending = Spending(FAST)
    ends = list(ask([request(number) for number in range(10)], chat, policy=FAST, spending=spending))
    assert [isinstance(end, Answer) for _, end in ends] == [True] * 10
    assert (spending.attempts, chat_server.num_questions) == (10, 70)


def test_a_busy_endpoint_gets_fewer_concurrent_requests(chat: ChatModel, chat_server: FakeServer) -> None:
    """The endpoint accepts two requests at once and rejects the others."""
    num_rejections = 0

    def script(number: int, question: dict[str, Any]) -> Reply:
        nonlocal num_rejections
        if chat_server.num_open > 2:
            num_rejections += 1
            return Reply(body=b"{}", status=429, headers={"Retry-After": "0.01"})
        return Reply("fine", latency=0.005)

    chat_server.script = script
    results = run([request(number) for number in range(40)], chat, policy=replace(FAST, breaker=50))
    assert all(isinstance(result, Answer) for result in results.values())
    assert 0 < num_rejections < 40


def test_the_model_that_answered_is_stored_with_the_answer(chat: ChatModel, chat_server: FakeServer) -> None:
    body = b'{"model": "cheaper", "choices": [{"message": {"content": "fine"}}]}'
    chat_server.script = lambda number, question: Reply(body=body)
    with RequestStore() as store:
        run([request(1)], chat, store=store)
        [stored] = store
        assert (stored.model, stored.answer.model) == ("small", "cheaper")


def test_the_number_of_sockets_is_bounded_by_the_concurrency(chat: ChatModel, chat_server: FakeServer) -> None:
    before = len(os.listdir("/proc/self/fd"))
    most = 0

    def watch(progress: AskingProgress) -> None:
        nonlocal most
        most = max(most, len(os.listdir("/proc/self/fd")))

    run([request(number) for number in range(100)], chat, listener=watch)
    assert most - before <= 2 * 8 + 4


def test_only_monotonic_time_is_used() -> None:
    """A system clock that jumps must not change a delay or a time-out. Only HTTP dates need the system clock."""
    package = Path(cotpd.llm.__file__).parent
    sources = [path for folder in ("asking", "models") for path in sorted((package / folder).glob("*.py"))]
    system_clock = re.compile(r"time\.time\b|from time import .*\btime\b|datetime\.now")
    assert len(sources) > 10
    assert [path.name for path in sources if system_clock.search(path.read_text("utf-8"))] == ["retry_after.py"]
