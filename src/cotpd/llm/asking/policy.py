"""The limits of a run: concurrency, rates, retries, time-outs and budget."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from cotpd.core.errors import UsageError


@dataclass(frozen=True, slots=True)
class Price:
    """The price of a million prompt tokens and of a million completion tokens, in the currency of the budget."""

    prompt: float
    completion: float

    def of(self, prompt_tokens: float, completion_tokens: float) -> float:
        """Return the price of these numbers of tokens."""
        return (self.prompt * prompt_tokens + self.completion * completion_tokens) / 1e6


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that a run may spend; None means no limit. ``requests`` includes failed attempts."""

    requests: int | None = None
    tokens: int | None = None
    money: float | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """How a run asks a language model. All times are in seconds.

    Attributes:
        concurrency: Maximum number of concurrent requests. A busy endpoint gets fewer.
        requests_per_minute: Maximum rate of requests.
        tokens_per_minute: Maximum rate of tokens, prompt and completion together.
        attempts: Maximum number of attempts for one request, in addition to up to 20 that a busy endpoint rejects.
        delay: Delay before the second attempt, doubled for each further attempt.
        answer_timeout: Time after which an attempt is abandoned.
        max_retry_after: If the endpoint asks to wait longer, the run stops.
        breaker: Number of consecutive rounds of failures, without an answer in between, after which the run pauses. A
            round is a set of attempts that were in flight together.
        pause: Length of that pause, doubled if the endpoint is busy, because rate limits are often per minute.
            Afterwards one request is tried. If it fails as well, the run stops, or, if no new questions are left, ends
            with the remaining requests unanswered.
        max_loading: Time for which the run waits while the endpoint is loading the model.
        drain: Time that a stopped run waits for the requests in flight.
        budget: The most that the run may spend.
        price: Price of tokens; required for a budget of money.
        ask_again: Whether to repeat requests whose stored answers were rejected.

    Raises:
        UsageError: If a limit is not positive, or a budget of money has no price.
    """

    concurrency: int = 32
    requests_per_minute: float = math.inf
    tokens_per_minute: float = math.inf
    attempts: int = 5
    delay: float = 1.0
    answer_timeout: float = 600.0
    max_retry_after: float = 300.0
    breaker: int = 4
    pause: float = 30.0
    max_loading: float = 900.0
    drain: float = 5.0
    budget: Budget = field(default_factory=Budget)
    price: Price | None = None
    ask_again: bool = False

    def __post_init__(self) -> None:
        if self.budget.money is not None and self.price is None:
            raise UsageError("a budget of money needs the price of tokens; set the price, or use a budget of tokens")
        for name in ("concurrency", "attempts", "breaker"):
            if (count := getattr(self, name)) < 1:
                raise UsageError(f"{name} must be at least 1, got {count}")
        for name in ("requests_per_minute", "tokens_per_minute"):
            if not (rate := getattr(self, name)) > 0:
                raise UsageError(f"{name} must be above 0, got {rate:g}")
