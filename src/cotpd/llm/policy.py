"""How politely, how persistently and how dearly a language model may be asked."""

from __future__ import annotations

from dataclasses import dataclass, field

from cotpd.core.errors import UsageError


@dataclass(frozen=True, slots=True)
class Price:
    """What a million tokens cost, in whatever currency the budget counts."""

    prompt: float
    completion: float

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
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
    """How a run asks. Raises `UsageError` for a budget of money without a price.

    ``concurrency``: the most requests on their way at once; fewer while the endpoint is busy. ``attempts``: for each
    request. ``longest_wait``: seconds that the endpoint may ask us to wait; a longer wait stops the run.
    ``breaker``: failures in a row, without an answer between, after which the run pauses for ``pause`` seconds and
    tries one request; when that fails as well, it stops. ``drain``: seconds that a stopped run waits for what is on
    its way. ``ask_again``: whether requests whose answers were rejected before are asked anew.
    """

    concurrency: int = 32
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    attempts: int = 5
    longest_wait: float = 300.0
    breaker: int = 20
    pause: float = 30.0
    drain: float = 5.0
    budget: Budget = field(default_factory=Budget)
    price: Price | None = None
    ask_again: bool = False

    def __post_init__(self) -> None:
        if self.budget.money is not None and self.price is None:
            raise UsageError("a budget of money needs the price of tokens; give the prices or a budget of tokens")
        if self.concurrency < 1 or self.attempts < 1:
            raise UsageError("concurrency and attempts must be 1 or more")
