"""Threads that call a language model. They never keep a stopped process alive."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from time import monotonic
from types import TracebackType
from typing import Generic, TypeVar

from cotpd.llm.call_error import CallError, Fault
from cotpd.llm.call_limit import CallLimit
from cotpd.llm.language_model import Answer, LanguageModel, Request

Ticket = TypeVar("Ticket")

_MAX_SLEEP = 60.0


@dataclass(slots=True)
class Call(Generic[Ticket]):
    """One attempt.

    Attributes:
        ticket: Any object by which the caller recognises the call.
        request: The request that is sent.
        limit: Ends the attempt.
        started: Monotonic time of the start.
        outcome: The answer, or the exception that was raised; None while the call is running.
        is_abandoned: Whether nobody waits for the outcome.
    """

    ticket: Ticket
    request: Request
    limit: CallLimit
    started: float = field(default_factory=monotonic)
    outcome: Answer | BaseException | None = None
    is_abandoned: bool = False

    def abandon(self) -> None:
        """Give up the attempt: release its thread and its socket."""
        self.is_abandoned = True
        self.limit.cancel()

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        """Hand every exception of an attempt to the thread that waits for it."""
        self.outcome = error or self.outcome
        return True


class Workers(Generic[Ticket]):
    """A pool with one daemon thread per request in flight, started when needed.

    The thread of an abandoned call ends with the call, because another thread may have taken its place.

    Args:
        model: The model to call.
        answer_timeout: Seconds after which a call is abandoned.
    """

    def __init__(self, model: LanguageModel, *, answer_timeout: float) -> None:
        self._model = model
        self._longest_answer = answer_timeout
        self._waiting: SimpleQueue[Call[Ticket] | None] = SimpleQueue()
        self._wake_up: SimpleQueue[None] = SimpleQueue()
        self._calls: list[Call[Ticket]] = []
        self._num_threads = 0

    @property
    def num_busy(self) -> int:
        """The number of calls that are running, or finished and not yet passed to `forget`."""
        return len(self._calls)

    def start(self, ticket: Ticket, request: Request) -> None:
        """Start a call."""
        call = Call(ticket, request, CallLimit(self._longest_answer))
        self._calls.append(call)
        self._waiting.put(call)
        if len(self._calls) > self._num_threads:
            self._num_threads += 1
            threading.Thread(target=self._work, daemon=True, name=f"asking-{self._num_threads}").start()

    def wait(self, seconds: float | None) -> list[Call[Ticket]]:
        """Return the finished calls, after waiting up to ``seconds`` for one; calls that timed out are finished too.

        Finished calls are returned again until `forget` is called, so an interrupted caller loses none. Calls that
        timed out are returned once.
        """
        limits = [_MAX_SLEEP if seconds is None else seconds, _MAX_SLEEP]
        if self._calls:
            limits.append(min(call.started for call in self._calls) + self._longest_answer - monotonic())
        return self._finished(0.0) or self._finished(max(0.0, min(limits))) or self._abandon_late()

    def forget(self, calls: Sequence[Call[Ticket]]) -> None:
        """Remove these calls."""
        gone = {id(call) for call in calls}
        self._calls = [call for call in self._calls if id(call) not in gone]

    def close(self) -> None:
        """End all threads. Calls that are running are abandoned."""
        for call in self._calls:
            call.abandon()
        for _ in range(self._num_threads):
            self._waiting.put(None)

    def _work(self) -> None:
        while call := self._waiting.get():
            with call, call.limit.applied():
                call.outcome = self._model.answer(call.request)
            if call.is_abandoned:
                return
            self._wake_up.put(None)

    def _finished(self, seconds: float) -> list[Call[Ticket]]:
        with suppress(Empty):
            self._wake_up.get(timeout=seconds)
            while True:
                self._wake_up.get_nowait()
        return [call for call in self._calls if call.outcome is not None]

    def _abandon_late(self) -> list[Call[Ticket]]:
        oldest = monotonic() - self._longest_answer
        late = [call for call in self._calls if call.started <= oldest]
        for call in late:
            call.abandon()
        self.forget(late)
        self._num_threads -= len(late)
        message = f"{self._model.name} gave no answer within {self._longest_answer:,.0f} s"
        error = CallError(message, Fault.TRANSIENT, spent=(0, 0))
        return [Call(each.ticket, each.request, each.limit, each.started, error) for each in late]
