"""Threads that put requests to a model and never keep a stopped run from ending."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from time import monotonic
from types import TracebackType
from typing import Generic, TypeVar

from cotpd.llm.call_error import CallError, Fault
from cotpd.llm.language_model import Answer, LanguageModel, Request

Ticket = TypeVar("Ticket")


@dataclass(slots=True)
class Call(Generic[Ticket]):
    """One attempt: ``outcome`` is the answer, or what was raised instead of one."""

    ticket: Ticket
    request: Request
    started: float = field(default_factory=monotonic)
    outcome: Answer | BaseException | None = None

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        """Whatever ends an attempt belongs to the thread that waits for it."""
        self.outcome = error or self.outcome
        return True


class Workers(Generic[Ticket]):
    """A thread for each request on its way, made when needed; the process may end while they still wait."""

    def __init__(self, model: LanguageModel, *, longest_answer: float) -> None:
        self._model = model
        self._longest_answer = longest_answer
        self._waiting: SimpleQueue[Call[Ticket] | None] = SimpleQueue()
        self._finished: SimpleQueue[Call[Ticket]] = SimpleQueue()
        self._calls: list[Call[Ticket]] = []
        self._num_threads = 0

    @property
    def num_busy(self) -> int:
        """The requests on their way."""
        return len(self._calls)

    def start(self, ticket: Ticket, request: Request) -> None:
        """Put a request on its way."""
        call = Call(ticket, request)
        self._calls.append(call)
        if len(self._calls) > self._num_threads:
            self._num_threads += 1
            threading.Thread(target=self._work, daemon=True, name=f"asking-{self._num_threads}").start()
        self._waiting.put(call)

    def wait(self, seconds: float | None) -> list[Call[Ticket]]:
        """The calls that have ended, after at most so many seconds; those that took too long have ended, too."""
        deadline = min((call.started for call in self._calls), default=monotonic()) + self._longest_answer
        left = max(0.0, deadline - monotonic()) if self._calls else None
        ended = self._take(min((each for each in (seconds, left) if each is not None), default=None))
        return ended or self._give_up()

    def close(self) -> None:
        """Let idle threads go."""
        for _ in range(self._num_threads):
            self._waiting.put(None)

    def _work(self) -> None:
        while call := self._waiting.get():
            with call:
                call.outcome = self._model.answer(call.request)
            self._finished.put(call)

    def _take(self, seconds: float | None) -> list[Call[Ticket]]:
        """What has ended; a call that was given up is no longer waited for."""
        ended = []
        try:
            ended.append(self._finished.get(timeout=seconds))
            while True:
                ended.append(self._finished.get_nowait())
        except Empty:
            pass
        known = [call for call in ended if any(call is each for each in self._calls)]
        self._forget(known)
        return known

    def _give_up(self) -> list[Call[Ticket]]:
        oldest = monotonic() - self._longest_answer
        late = [call for call in self._calls if call.started <= oldest]
        self._forget(late)
        self._num_threads -= len(late)
        message = f"{self._model.name} gave no answer within {self._longest_answer:,.0f} s"
        return [Call(each.ticket, each.request, each.started, CallError(message, Fault.BROKEN)) for each in late]

    def _forget(self, calls: list[Call[Ticket]]) -> None:
        gone = {id(call) for call in calls}
        self._calls = [call for call in self._calls if id(call) not in gone]
