"""Ask a language model every request once, answering from the store where possible.

One thread schedules the requests, writes the store and yields the results; worker threads only wait for the model. An
answer is on disk before another request takes its place in flight, so a process killed at any moment loses at most the
requests in flight.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import count
from time import monotonic

from cotpd.core.errors import BudgetReachedError, LanguageModelError, StoreError
from cotpd.llm.asking.budget import Estimate, Spending, estimate
from cotpd.llm.asking.pacing import Pace
from cotpd.llm.asking.policy import Policy
from cotpd.llm.asking.progress import AskingProgress, ProgressCounter
from cotpd.llm.asking.workers import Call, Workers
from cotpd.llm.call_error import CallError, Fault
from cotpd.llm.language_model import Answer, LanguageModel, Request
from cotpd.llm.store.request_store import FailedAttempt, RequestStore, StoredAnswer


@dataclass(frozen=True, slots=True)
class Failure:
    """The result of a request without a usable answer.

    Attributes:
        reason: Why there is no usable answer.
        answer: The rejected answer; None if the model gave none.
    """

    reason: str
    answer: Answer | None = None

    @property
    def is_rejection(self) -> bool:
        """True if the model answered and the answer was rejected."""
        return self.answer is not None


MAX_BUSY_REPLIES = 20
"""A request that a busy endpoint rejects this often, while others are answered, is itself the reason; it fails."""
_MAX_LOADING_REPLIES = 200
_MAX_DUPLICATES = 1_000
"""Requests that may wait for the answer to one question, which bounds the memory for a source of equal questions."""
_REQUEST_FAULTS = {Fault.REFUSED, Fault.NOT_RECORDED}
"""Failures that end their request at the first attempt."""

Result = tuple[Request, Answer | Failure]


def ask(
    requests: Iterable[Request],
    model: LanguageModel,
    *,
    store: RequestStore | None = None,
    policy: Policy | None = None,
    listener: Callable[[AskingProgress], None] | None = None,
    spending: Spending | None = None,
) -> Iterator[Result]:
    """Yield each request with its answer or failure, in the order of completion.

    Every yielded answer is already in the store. Equal requests are sent once, and requests with a stored answer are
    not sent at all. Each answer, new or stored, is checked by its request. If the caller stops early or an error is
    raised, the run waits up to ``policy.drain`` seconds for the requests in flight and stores their answers.

    Args:
        requests: The questions. They are consumed as they are needed.
        model: Answers the questions.
        store: Holds the answers; by default a store in memory.
        policy: Limits of the run; see `Policy` for the defaults.
        listener: Called with the progress before each result is yielded.
        spending: Carries the amount spent from one call to the next, for a budget that covers several calls.

    Raises:
        BudgetReachedError: If the budget does not cover the next request.
        LanguageModelError: If the endpoint cannot be used.
        StoreError: If the store cannot be written, or is read-only and has no answer to a question.
    """
    with nullcontext(store) if store else RequestStore() as opened:
        policy = policy or Policy()
        yield from _AskingRun(model, opened, policy, listener, spending or Spending(policy)).results(iter(requests))


@dataclass(slots=True, eq=False)
class _OpenQuestion:
    """A question without an answer yet, and the requests that wait for it."""

    key: str
    requests: list[Request]
    estimate: Estimate
    num_attempts: int = 0
    num_busy_replies: int = 0
    num_loading_replies: int = 0


class _AskingRun:
    """The state of one call of `ask`."""

    def __init__(
        self,
        model: LanguageModel,
        store: RequestStore,
        policy: Policy,
        listener: Callable[[AskingProgress], None] | None,
        spending: Spending,
    ) -> None:
        self._model, self._store, self._policy, self._listener = model, store, policy, listener
        self._pace = Pace(policy, model.max_concurrency)
        self._spending = spending
        self._workers: Workers[_OpenQuestion] = Workers(model, answer_timeout=policy.answer_timeout)
        self._counter = ProgressCounter()
        self._open: dict[str, _OpenQuestion] = {}
        self._rejected_keys: set[str] = set()
        self._next: _OpenQuestion | None = None
        self._retries: list[tuple[float, int, _OpenQuestion]] = []
        self._retry_numbers = count()
        self._is_exhausted = False
        self._fatal: BaseException | None = None

    def results(self, requests: Iterator[Request]) -> Iterator[Result]:
        """Yield each request with its result."""
        try:
            while True:
                seconds = yield from self._start_all(requests)
                if not self._open:
                    return
                for result in self._process(self._workers.wait(seconds)):
                    yield self._report(result)
                if self._fatal:
                    raise self._fatal
        finally:
            self._drain()

    def _start_all(self, requests: Iterator[Request]) -> Generator[Result, None, float | None]:
        """Start all attempts that may start now; return the seconds until more may start, None if only an answer helps.

        Yields the results of requests that the store answers.
        """
        while self._workers.num_busy < self._pace.limit:
            if self._next is None:
                self._next = yield from self._choose(requests)
            if self._next is None:
                return max(0.0, self._retries[0][0] - monotonic()) if self._retries else None
            if not self._is_affordable(self._next):
                return None
            if seconds := self._pace.wait(self._next.estimate.total, monotonic()):
                return seconds
            self._start(self._next)
            self._next = None
        return None

    def _choose(self, requests: Iterator[Request]) -> Generator[Result, None, _OpenQuestion | None]:
        """Return the next question: retries first, but new questions first while every attempt fails.

        The retries themselves may be the reason that every attempt fails.
        """
        if self._pace.is_failing:
            return (yield from self._take_new(requests)) or self._take_retry()
        return self._take_retry() or (yield from self._take_new(requests))

    def _take_retry(self) -> _OpenQuestion | None:
        """Return a question whose time for another attempt has come."""
        is_due = self._retries and self._retries[0][0] <= monotonic()
        return heapq.heappop(self._retries)[2] if is_due else None

    def _take_new(self, requests: Iterator[Request]) -> Generator[Result, None, _OpenQuestion | None]:
        """Return the next question that is neither stored nor open; None while too many questions wait for a retry."""
        while len(self._retries) <= self._policy.concurrency:
            if (request := next(requests, None)) is None:
                self._is_exhausted = True
                return None
            key = request.key(self._model.endpoint, self._model.name)
            if question := self._open.get(key):
                question.requests.append(request)
                if len(question.requests) > _MAX_DUPLICATES:
                    return None
            elif stored := self._find_stored(key, request):
                self._counter.served += 1
                yield self._report((request, stored))
            elif self._store.read_only:
                advice = "ask with a store that can be written"
                raise StoreError(
                    f"{self._store.path}: the store is read-only and has no answer to a question; {advice}"
                )
            else:
                self._open[key] = question = _OpenQuestion(key, [request], estimate(request))
                return question
        return None

    def _find_stored(self, key: str, request: Request) -> Answer | Failure | None:
        """Return the stored result. With ``ask_again``, ignore answers that were rejected before this run."""
        stored = self._store.find(key)
        result = _check(request, stored.answer) if stored else None
        is_repeated = self._policy.ask_again and key not in self._rejected_keys
        return None if isinstance(result, Failure) and is_repeated else result

    def _is_affordable(self, question: _OpenQuestion) -> bool:
        """Return True if the budget covers an attempt, False if that depends on the attempts in flight.

        Raises `BudgetReachedError` if it does not and nothing is in flight.
        """
        if self._spending.allows(question.estimate):
            return True
        if not self._workers.num_busy:
            advice = "raise it and run the command again; questions with a stored answer are not asked twice"
            raise BudgetReachedError(f"the budget is spent after {self._spending.attempts:,} attempts; {advice}")
        return False

    def _start(self, question: _OpenQuestion) -> None:
        question.num_attempts += 1
        self._spending.reserve(question.estimate)
        self._pace.start(question.estimate.total)
        self._workers.start(question, question.requests[0])

    def _process(self, calls: Sequence[Call[_OpenQuestion]]) -> list[Result]:
        """Store the outcomes of finished calls and return the results of their requests."""
        self._save(calls)
        results: list[Result] = []
        for call in calls:
            if isinstance(call.outcome, Answer):
                results += self._process_answer(call.ticket, call.outcome)
            else:
                results += self._process_failure(call, call.outcome)
        return results

    def _save(self, calls: Sequence[Call[_OpenQuestion]]) -> None:
        """Write the outcomes of calls to the store; until that is done, the calls count as in flight.

        A question that is missing from a recording is no failed attempt: no model was called, and the question may be
        part of a batch.
        """
        answers: list[StoredAnswer] = []
        failed_attempts: list[FailedAttempt] = []
        for call in calls:
            question, outcome = call.ticket, call.outcome
            if isinstance(outcome, Answer):
                rejected = question.requests[0].validate(outcome)
                answers.append(StoredAnswer(question.key, self._model.endpoint, self._model.name, outcome, rejected))
                failed_attempts += [FailedAttempt(question.key, rejected, outcome)] if rejected else []
            elif not (isinstance(outcome, CallError) and outcome.fault is Fault.NOT_RECORDED):
                failed_attempts.append(FailedAttempt(question.key, str(outcome)))
        self._store.add(answers, failed_attempts)
        self._workers.forget(calls)

    def _process_answer(self, question: _OpenQuestion, answer: Answer) -> list[Result]:
        self._pace.correct(self._spending.record_answer(question.estimate, answer) - question.estimate.total)
        self._pace.succeed()
        del self._open[question.key]
        self._counter.asked += 1
        results = [(request, _check(request, answer)) for request in question.requests]
        num_rejected = sum(isinstance(result, Failure) for _, result in results)
        if num_rejected and self._policy.ask_again:
            self._rejected_keys.add(question.key)
        self._counter.rejected += num_rejected
        self._counter.answered += len(results) - num_rejected
        return results

    def _process_failure(self, call: Call[_OpenQuestion], error: BaseException | None) -> list[Result]:
        """Schedule a retry, or return the failed requests; an error that ends the run goes to ``_fatal``."""
        question = call.ticket
        self._spending.record_failure(question.estimate, error.spent if isinstance(error, CallError) else None)
        if not isinstance(error, CallError):
            self._fatal = self._fatal or error
            return []
        if error.fault in (Fault.BUSY, Fault.LOADING):
            question.num_attempts -= 1
            question.num_busy_replies += error.fault is Fault.BUSY
            question.num_loading_replies += error.fault is Fault.LOADING
            self._spending.attempts -= error.fault is Fault.LOADING
        num_tries = question.num_attempts + question.num_busy_replies
        try:
            retry_time = self._pace.fail(error, attempt=num_tries, started=call.started, now=monotonic())
        except LanguageModelError as final:
            return self._give_up(question, final)
        if error.fault in _REQUEST_FAULTS or self._is_spent(question):
            return self._fail(question, error)
        heapq.heappush(self._retries, (retry_time, next(self._retry_numbers), question))
        return []

    def _is_spent(self, question: _OpenQuestion) -> bool:
        return (
            question.num_attempts >= self._policy.attempts
            or question.num_busy_replies >= MAX_BUSY_REPLIES
            or question.num_loading_replies >= _MAX_LOADING_REPLIES
        )

    def _give_up(self, question: _OpenQuestion, error: LanguageModelError) -> list[Result]:
        """End the run, or only the open questions if no new ones are left.

        In that case a few questions that always fail must not turn an otherwise complete run into a failure.
        """
        if isinstance(error, CallError) or not self._is_exhausted:
            self._fatal = self._fatal or error
            return []
        questions = [question, *(retry for *_, retry in self._retries)]
        self._retries = []
        return [result for each in questions for result in self._fail(each, error)]

    def _fail(self, question: _OpenQuestion, error: LanguageModelError) -> list[Result]:
        del self._open[question.key]
        self._counter.asked += 1
        self._counter.failed += len(question.requests)
        return [(request, Failure(str(error))) for request in question.requests]

    def _report(self, result: Result) -> Result:
        if self._listener:
            self._listener(self._counter.progress(self._spending, in_flight=self._workers.num_busy))
        return result

    def _drain(self) -> None:
        """Store the answers of the requests in flight that arrive in time."""
        deadline = monotonic() + self._policy.drain
        while self._workers.num_busy and (left := deadline - monotonic()) > 0:
            self._save(self._workers.wait(left))
        self._workers.close()


def _check(request: Request, answer: Answer) -> Answer | Failure:
    reason = request.validate(answer)
    return Failure(reason, answer) if reason else answer
