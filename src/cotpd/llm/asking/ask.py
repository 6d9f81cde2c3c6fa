"""Asking: every request answered once, from the store or by the model.

One thread decides, keeps and hands on; the others only wait for the model. An answer is on the disk before its place
among those on their way is free again: a process killed at any moment loses no more than these.
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
from cotpd.llm.asking.progress import Progress, Tally
from cotpd.llm.asking.workers import Call, Workers
from cotpd.llm.call_error import CallError, Fault
from cotpd.llm.language_model import Answer, LanguageModel, Request
from cotpd.llm.store.request_store import FailedAttempt, RequestStore, StoredAnswer


@dataclass(frozen=True, slots=True)
class Failure:
    """A request without a usable answer: ``answer`` is what was rejected, None where none came."""

    reason: str
    answer: Answer | None = None

    @property
    def is_rejection(self) -> bool:
        """Whether the model answered, but not well."""
        return self.answer is not None


_MOST_TWINS = 1_000
_MOST_TURNED_AWAY = 20
"""A request that a busy endpoint has turned away so often, while others were answered, is itself the reason."""
_ENDS_REQUEST = {Fault.REFUSED, Fault.UNKNOWN}

Result = tuple[Request, Answer | Failure]


def ask(
    requests: Iterable[Request],
    model: LanguageModel,
    *,
    store: RequestStore | None = None,
    policy: Policy | None = None,
    listener: Callable[[Progress], None] | None = None,
    spending: Spending | None = None,
) -> Iterator[Result]:
    """Yield every request with its answer, in the order of completion; what is yielded is in the store.

    The same question is asked once, and not at all where the store has an answer to it; each answer, also a stored
    one, is judged by its request. ``requests`` are taken as they are needed. Stopped in any way, also by a caller who
    takes no more, the run waits a little for what is on its way and keeps it. Where one budget is for several calls,
    ``spending`` takes what each has spent to the next.

    Raises `BudgetReachedError`, and `LanguageModelError` or `StoreError` when the run cannot go on.
    """
    with nullcontext(store) if store else RequestStore() as kept:
        policy = policy or Policy()
        yield from _Run(model, kept, policy, listener, spending or Spending(policy)).results(iter(requests))


@dataclass(slots=True, eq=False)
class _Job:
    """A question on its way to an answer, for one request or for several that ask the same."""

    key: str
    requests: list[Request]
    size: Estimate
    attempts: int = 0
    num_turned_away: int = 0


class _Run:
    def __init__(
        self,
        model: LanguageModel,
        store: RequestStore,
        policy: Policy,
        listener: Callable[[Progress], None] | None,
        spending: Spending,
    ) -> None:
        self._model, self._store, self._policy, self._listener = model, store, policy, listener
        self._pace = Pace(policy, model.most_at_once)
        self._spending = spending
        self._workers: Workers[_Job] = Workers(model, longest_answer=policy.longest_answer)
        self._tally = Tally()
        self._open: dict[str, _Job] = {}
        self._rejected_now: set[str] = set()
        self._next: _Job | None = None
        self._later: list[tuple[float, int, _Job]] = []
        self._numbers = count()
        self._is_exhausted = False
        self._fatal: BaseException | None = None

    def results(self, requests: Iterator[Request]) -> Iterator[Result]:
        """Every request with its end."""
        try:
            while True:
                seconds = yield from self._start_all(requests)
                if not self._open:
                    return
                for result in self._settle(self._workers.wait(seconds)):
                    yield self._told(result)
                if self._fatal:
                    raise self._fatal
        finally:
            self._drain()

    def _start_all(self, requests: Iterator[Request]) -> Generator[Result, None, float | None]:
        """Start what may start now: the seconds until more may, None where only an answer changes that."""
        while self._workers.num_busy < self._pace.limit:
            if self._next is None:
                self._next = yield from self._choose(requests)
            if self._next is None:
                return max(0.0, self._later[0][0] - monotonic()) if self._later else None
            if not self._is_affordable(self._next):
                return None
            if seconds := self._pace.wait(self._next.size.total, monotonic()):
                return seconds
            self._start(self._next)
            self._next = None
        return None

    def _choose(self, requests: Iterator[Request]) -> Generator[Result, None, _Job | None]:
        """Those that wait for another attempt come first, but last while everything fails: it may be their fault."""
        if self._pace.is_failing:
            return (yield from self._fresh(requests)) or self._due()
        return self._due() or (yield from self._fresh(requests))

    def _due(self) -> _Job | None:
        """The job whose time for another attempt has come."""
        is_due = self._later and self._later[0][0] <= monotonic()
        return heapq.heappop(self._later)[2] if is_due else None

    def _fresh(self, requests: Iterator[Request]) -> Generator[Result, None, _Job | None]:
        """The next question that is neither in the store nor on its way; none while many wait for another attempt."""
        while len(self._later) <= self._policy.concurrency:
            if (request := next(requests, None)) is None:
                self._is_exhausted = True
                return None
            key = request.key(self._model.endpoint, self._model.name)
            if job := self._open.get(key):
                job.requests.append(request)
                if len(job.requests) > _MOST_TWINS:
                    return None
            elif end := self._known(key, request):
                self._tally.served += 1
                yield self._told((request, end))
            elif self._store.read_only:
                raise StoreError(f"{self._store.path}: read-only and without an answer to a question; name another")
            else:
                self._open[key] = job = _Job(key, [request], estimate(request))
                return job
        return None

    def _known(self, key: str, request: Request) -> Answer | Failure | None:
        """What the store has: a rejected answer is asked for again, once, only when the policy says so."""
        kept = self._store.find(key)
        end = _judged(request, kept.answer) if kept else None
        is_old = self._policy.ask_again and key not in self._rejected_now
        return None if isinstance(end, Failure) and is_old else end

    def _is_affordable(self, job: _Job) -> bool:
        """Whether the budget allows this attempt; False while that hangs on those on their way."""
        if self._spending.allows(job.size):
            return True
        if not self._workers.num_busy:
            raise BudgetReachedError("the budget is spent: raise it and run again, and nothing is asked twice")
        return False

    def _start(self, job: _Job) -> None:
        job.attempts += 1
        self._spending.start(job.size)
        self._pace.start(job.size.total)
        self._workers.start(job, job.requests[0])

    def _settle(self, calls: Sequence[Call[_Job]]) -> list[Result]:
        """Keep what the calls brought, then tell which requests have an end."""
        self._keep(calls)
        results: list[Result] = []
        for call in calls:
            if isinstance(call.outcome, Answer):
                results += self._answered(call.ticket, call.outcome)
            else:
                results += self._failed(call, call.outcome)
        return results

    def _keep(self, calls: Sequence[Call[_Job]]) -> None:
        """Put on the disk what the calls brought; until it is there, they count as on their way.

        What a recording does not hold is no mishap: nobody was asked, and the question may be out in a batch.
        """
        kept: list[StoredAnswer] = []
        mishaps: list[FailedAttempt] = []
        for call in calls:
            job, outcome = call.ticket, call.outcome
            if isinstance(outcome, Answer):
                rejected = job.requests[0].validate(outcome)
                kept.append(StoredAnswer(job.key, self._model.endpoint, self._model.name, outcome, rejected))
                mishaps += [FailedAttempt(job.key, rejected, outcome)] if rejected else []
            elif not (isinstance(outcome, CallError) and outcome.fault is Fault.UNKNOWN):
                mishaps.append(FailedAttempt(job.key, str(outcome)))
        self._store.add(kept, mishaps)
        self._workers.forget(calls)

    def _answered(self, job: _Job, answer: Answer) -> list[Result]:
        self._pace.correct(self._spending.end(job.size, answer) - job.size.total)
        self._pace.succeed()
        del self._open[job.key]
        self._tally.asked += 1
        ends = [(request, _judged(request, answer)) for request in job.requests]
        num_rejected = sum(isinstance(end, Failure) for _, end in ends)
        if num_rejected and self._policy.ask_again:
            self._rejected_now.add(job.key)
        self._tally.rejected += num_rejected
        self._tally.answered += len(ends) - num_rejected
        return ends

    def _failed(self, call: Call[_Job], error: BaseException | None) -> list[Result]:
        """What a failed attempt ends: nothing, its request, or the run.

        An endpoint that seems dead ends the run only while there is something new to ask, else the questions that are
        left: a few that always fail must not turn a whole run into a failure.
        """
        job = call.ticket
        self._spending.fail(job.size, error.spent if isinstance(error, CallError) else None)
        if not isinstance(error, CallError):
            self._fatal = self._fatal or error
            return []
        if error.fault is Fault.BUSY:
            job.attempts -= 1
            job.num_turned_away += 1
        tries = job.attempts + job.num_turned_away
        try:
            again = self._pace.fail(error, attempt=tries, started=call.started, now=monotonic())
        except LanguageModelError as final:
            if isinstance(final, CallError) or not self._is_exhausted:
                self._fatal = self._fatal or final
                return []
            left, self._later = self._later, []
            return [result for each in (job, *(later for *_, later in left)) for result in self._ended(each, final)]
        is_spent = job.attempts >= self._policy.attempts or job.num_turned_away >= _MOST_TURNED_AWAY
        if error.fault in _ENDS_REQUEST or is_spent:
            return self._ended(job, error)
        heapq.heappush(self._later, (again, next(self._numbers), job))
        return []

    def _ended(self, job: _Job, error: LanguageModelError) -> list[Result]:
        del self._open[job.key]
        self._tally.asked += 1
        self._tally.failed += len(job.requests)
        return [(request, Failure(str(error))) for request in job.requests]

    def _told(self, result: Result) -> Result:
        if self._listener:
            self._listener(self._tally.progress(self._spending, in_flight=self._workers.num_busy))
        return result

    def _drain(self) -> None:
        """Keep what has come or is still on its way, as far as it comes in time."""
        deadline = monotonic() + self._policy.drain
        while self._workers.num_busy and (left := deadline - monotonic()) > 0:
            self._keep(self._workers.wait(left))
        self._workers.close()


def _judged(request: Request, answer: Answer) -> Answer | Failure:
    reason = request.validate(answer)
    return Failure(reason, answer) if reason else answer
