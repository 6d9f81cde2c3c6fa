"""Track the attempts, tokens and money that a run spends, and keep them within its budget."""

from __future__ import annotations

from dataclasses import dataclass, field

from cotpd.llm.asking.policy import Policy
from cotpd.llm.language_model import Answer, Request

_BYTES_PER_TOKEN = 3
TOKENS_PER_IMAGE = 1_500
"""A typical value. Models differ widely: one of them needs 25,501."""
_TOKENS_PER_MESSAGE = 8


@dataclass(frozen=True, slots=True)
class Estimate:
    """Prompt and completion tokens that an attempt is expected to need at most."""

    prompt: int
    completion: int

    def __add__(self, other: Estimate) -> Estimate:
        return Estimate(self.prompt + other.prompt, self.completion + other.completion)

    @property
    def total(self) -> int:
        """Prompt and completion tokens together."""
        return self.prompt + self.completion


def estimate(request: Request) -> Estimate:
    """Estimate the tokens of a request from its text, its images and ``max_tokens``; the result tends to be high."""
    num_bytes = sum(len(each.content.encode("utf-8", "surrogatepass")) for each in request.messages)
    num_images = sum(len(each.images) for each in request.messages)
    num_messages = len(request.messages)
    prompt = num_bytes // _BYTES_PER_TOKEN + num_images * TOKENS_PER_IMAGE + num_messages * _TOKENS_PER_MESSAGE
    return Estimate(prompt, request.parameters.max_tokens)


@dataclass(slots=True)
class Spending:
    """The attempts, tokens and money that one or several runs have spent.

    Attempts in flight are reserved with their estimates, so that concurrent requests cannot exceed the budget.

    Attributes:
        policy: Holds the budget and the price.
        attempts: Calls of the model, including failed ones.
        prompt_tokens: Prompt tokens that the endpoint reported.
        completion_tokens: Completion tokens that the endpoint reported.
        unreported: Estimated tokens of attempts that were or may have been billed and whose number the endpoint did
            not report. They count against the budget.
        prompt_ratio: Largest ratio so far of reported to estimated prompt tokens, at least 1. None before the first
            answer; until then a budget of tokens or money allows only one attempt in flight.
        completion_ratio: Largest ratio so far of reported completion tokens to ``max_tokens``, at least 1.
        reserved: Estimates of the attempts in flight.
    """

    policy: Policy
    attempts: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    unreported: Estimate = Estimate(0, 0)
    prompt_ratio: float | None = None
    completion_ratio: float = 1.0
    reserved: list[Estimate] = field(default_factory=list)

    @property
    def cost(self) -> float | None:
        """The money spent; None if no price is set or the tokens of an attempt are unknown."""
        price = self.policy.price
        return price.of(self.prompt_tokens, self.completion_tokens) if price and not self.unreported.total else None

    def allows(self, attempt: Estimate) -> bool:
        """Return True if the budget covers another attempt on top of everything spent and reserved."""
        budget, price = self.policy.budget, self.policy.price
        if budget.requests is not None and self.attempts >= budget.requests:
            return False
        if budget.tokens is None and budget.money is None:
            return True
        if self.prompt_ratio is None and self.reserved:
            return False
        estimates = (self.unreported, *self.reserved, attempt)
        prompt = self.prompt_tokens + (self.prompt_ratio or 1.0) * sum(each.prompt for each in estimates)
        completion = self.completion_tokens + self.completion_ratio * sum(each.completion for each in estimates)
        if budget.tokens is not None and prompt + completion > budget.tokens:
            return False
        return budget.money is None or price is None or price.of(prompt, completion) <= budget.money

    def reserve(self, attempt: Estimate) -> None:
        """Count an attempt that starts now."""
        self.attempts += 1
        self.reserved.append(attempt)

    def record_answer(self, attempt: Estimate, answer: Answer) -> int:
        """Replace the reservation of an attempt by the tokens of its answer, and return their number."""
        self.reserved.remove(attempt)
        if _is_free(answer):
            return 0
        self.prompt_ratio = self.prompt_ratio or 1.0
        return self._add_tokens(attempt, answer.prompt_tokens, answer.completion_tokens)

    def record_failure(self, attempt: Estimate, spent: tuple[int, int] | None) -> None:
        """Replace the reservation of an attempt by the tokens billed for its failure; see `CallError.spent`."""
        self.reserved.remove(attempt)
        if spent is not None:
            self._add_tokens(attempt, *spent)

    def _add_tokens(self, attempt: Estimate, prompt: int, completion: int) -> int:
        """Count the tokens of an attempt and update the ratios. A number that is 0 is unknown; its estimate counts."""
        unreported = Estimate(0 if prompt else attempt.prompt, 0 if completion else attempt.completion)
        self.unreported = self.unreported + unreported
        self.prompt_ratio = max(self.prompt_ratio or 1.0, prompt / max(1, attempt.prompt))
        self.completion_ratio = max(self.completion_ratio, completion / max(1, attempt.completion))
        self.prompt_tokens += prompt
        self.completion_tokens += completion
        return prompt + completion + unreported.total


def _is_free(answer: Answer) -> bool:
    """Return True if the endpoint refused the question before the model read it, and reported no tokens."""
    is_refused = answer.finish_reason in ("too_long", "content_filter") and not answer.text
    return is_refused and not (answer.prompt_tokens or answer.completion_tokens)
