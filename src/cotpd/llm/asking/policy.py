"""How politely, how persistently and how dearly a language model may be asked."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from cotpd.core.errors import UsageError


@dataclass(frozen=True, slots=True)
class Price:
    """What a million tokens cost, in whatever currency the budget counts."""

    prompt: float
    completion: float

    def of(self, prompt_tokens: float, completion_tokens: float) -> float:
        """The price of so many tokens."""
        return (self.prompt * prompt_tokens + self.completion * completion_tokens) / 1e6


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that one run may spend; None: no limit. Failed attempts count as requests."""

    requests: int | None = None
    tokens: int | None = None
    money: float | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """How a run asks; all times are seconds. Raises `UsageError` for settings that allow nothing.

    ``concurrency``: the most requests on their way at once; fewer while the endpoint is busy. ``attempts``: the most
    for one request, not counting up to twenty that a busy endpoint turned away. ``delay``: before a second attempt,
    doubled for each further one. ``longest_answer``: after this an attempt is given up. ``longest_wait``: when the
    endpoint asks for a longer one, the run stops. ``breaker``: rounds of failures without an answer between after which
    the run pauses for ``pause`` and tries one request; when that fails as well, it stops, or, with nothing new left to
    ask, leaves the rest without an answer. ``drain``: how long a stopped run waits for what is on its way.
    ``ask_again``: whether requests whose answers were rejected before are asked anew.
    """

    concurrency: int = 32
    requests_per_minute: float = math.inf
    tokens_per_minute: float = math.inf
    attempts: int = 5
    delay: float = 1.0
    longest_answer: float = 600.0
    longest_wait: float = 300.0
    breaker: int = 4
    pause: float = 30.0
    drain: float = 5.0
    budget: Budget = field(default_factory=Budget)
    price: Price | None = None
    ask_again: bool = False

    def __post_init__(self) -> None:
        if self.budget.money is not None and self.price is None:
            raise UsageError("a budget of money needs the price of tokens; give the prices or a budget of tokens")
        if min(self.concurrency, self.attempts, self.breaker) < 1:
            raise UsageError("concurrency, attempts and breaker must be 1 or more")
        if not (self.requests_per_minute > 0 and self.tokens_per_minute > 0):
            raise UsageError("a rate per minute must be above 0")
