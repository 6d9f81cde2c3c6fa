"""How far a run of questions has come."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import monotonic

from cotpd.llm.asking.budget import Spending


@dataclass(frozen=True, slots=True)
class Progress:
    """A moment of a run. ``cost`` is None where no price is known; ``seconds`` have passed since it began.

    ``served`` counts what a store answered, ``answered`` what the model answered now and was accepted; ``rejected``
    and ``failed`` are the rest. ``asked`` counts the questions that the model answered or failed to answer now, each
    once however many requests ask it; ``attempts`` counts the calls made, also those that failed.
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
        """The requests that have an end, good or bad."""
        return self.served + self.answered + self.rejected + self.failed

    @property
    def rate(self) -> float:
        """Requests a second that the model has answered."""
        return (self.done - self.served) / self.seconds if self.seconds else 0.0

    def seconds_left(self, total: int) -> float | None:
        """The time that the rest of ``total`` requests takes at this rate; None before the first answer."""
        return (total - self.done) / self.rate if self.rate else None


@dataclass(slots=True)
class Tally:
    """The counts of a run as it goes; see `Progress`."""

    served: int = 0
    answered: int = 0
    rejected: int = 0
    failed: int = 0
    asked: int = 0
    began: float = field(default_factory=monotonic)

    def progress(self, spending: Spending, *, in_flight: int) -> Progress:
        """This moment."""
        return Progress(
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
