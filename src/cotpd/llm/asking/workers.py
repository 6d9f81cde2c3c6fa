"""Threads that put requests to a model and never keep a stopped run from ending."""

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
from cotpd.llm.language_model import Answer, LanguageModel, Request

Ticket = TypeVar("Ticket")

_LONGEST_SLEEP = 60.0


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
        self._alarm: SimpleQueue[None] = SimpleQueue()
        self._calls: list[Call[Ticket]] = []
        self._num_threads = 0

    @property
    def num_busy(self) -> int:
        """The requests on their way, with those that have ended and are not forgotten."""
        return len(self._calls)

    def start(self, ticket: Ticket, request: Request) -> None:
        """Put a request on its way."""
        call = Call(ticket, request)
        self._calls.append(call)
        self._waiting.put(call)
        if len(self._calls) > self._num_threads:
            self._num_threads += 1
            threading.Thread(target=self._work, daemon=True, name=f"asking-{self._num_threads}").start()

    def wait(self, seconds: float | None) -> list[Call[Ticket]]:
        """The calls that have ended, none after so many seconds or less; those that took too long have ended, too.

        They come again until they are forgotten: whoever is interrupted in between loses none.
        """
        limits = [_LONGEST_SLEEP if seconds is None else seconds, _LONGEST_SLEEP]
        if self._calls:
            limits.append(min(call.started for call in self._calls) + self._longest_answer - monotonic())
        return self._ended(0.0) or self._ended(max(0.0, min(limits))) or self._give_up()

    def forget(self, calls: Sequence[Call[Ticket]]) -> None:
        """No longer wait for these."""
        gone = {id(call) for call in calls}
        self._calls = [call for call in self._calls if id(call) not in gone]

    def close(self) -> None:
        """Let idle threads go."""
        for _ in range(self._num_threads):
            self._waiting.put(None)

    def _work(self) -> None:
        while call := self._waiting.get():
            with call:
                call.outcome = self._model.answer(call.request)
            self._alarm.put(None)

    def _ended(self, seconds: float) -> list[Call[Ticket]]:
        """What has ended, of those that are waited for."""
        with suppress(Empty):
            self._alarm.get(timeout=seconds)
            while True:
                self._alarm.get_nowait()
        return [call for call in self._calls if call.outcome is not None]

    def _give_up(self) -> list[Call[Ticket]]:
        oldest = monotonic() - self._longest_answer
        late = [call for call in self._calls if call.started <= oldest]
        self.forget(late)
        self._num_threads -= len(late)
        message = f"{self._model.name} gave no answer within {self._longest_answer:,.0f} s"
        error = CallError(message, Fault.BROKEN, spent=(0, 0))
        return [Call(each.ticket, each.request, each.started, error) for each in late]
