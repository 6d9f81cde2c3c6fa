"""The progress of a run of questions."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import monotonic

from cotpd.llm.asking.budget import Spending


@dataclass(frozen=True, slots=True)
class AskingProgress:
    """The state of a run at one moment.

    Attributes:
        served: Requests answered from the store.
        answered: Requests that the model answered in this run and whose answers were accepted.
        rejected: Requests that the model answered in this run and whose answers were rejected.
        failed: Requests without an answer.
        asked: Distinct questions that the model answered or failed to answer in this run.
        attempts: Calls of the model, including failed ones.
        prompt_tokens: Prompt tokens that the endpoint reported.
        completion_tokens: Completion tokens that the endpoint reported.
        cost: Money spent; None if no price is set or an answer reported no tokens.
        in_flight: Requests that are waiting for the model.
        seconds: Time since the run began.
    """

    served: int = 0
    answered: int = 0
    rejected: int = 0
    failed: int = 0
    asked: int = 0
    attempts: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None
    in_flight: int = 0
    seconds: float = 0.0

    @property
    def done(self) -> int:
        """The number of requests that are finished, with or without a usable answer."""
        return self.served + self.answered + self.rejected + self.failed

    @property
    def rate(self) -> float:
        """Finished requests per second, without those answered from the store."""
        return (self.done - self.served) / self.seconds if self.seconds else 0.0

    def seconds_left(self, total: int) -> float | None:
        """Estimate the time for the remaining requests of ``total``; None before the first answer."""
        return (total - self.done) / self.rate if self.rate else None


@dataclass(slots=True)
class ProgressCounter:
    """Counts the requests of a run; see `AskingProgress` for the counts."""

    served: int = 0
    answered: int = 0
    rejected: int = 0
    failed: int = 0
    asked: int = 0
    began: float = field(default_factory=monotonic)

    def progress(self, spending: Spending, *, in_flight: int) -> AskingProgress:
        """Return the current state."""
        return AskingProgress(
            self.served,
            self.answered,
            self.rejected,
            self.failed,
            self.asked,
            attempts=spending.attempts,
            prompt_tokens=spending.prompt_tokens,
            completion_tokens=spending.completion_tokens,
            cost=spending.cost,
            in_flight=in_flight,
            seconds=monotonic() - self.began,
        )
