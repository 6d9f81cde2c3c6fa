"""What a run has spent, and whether it may spend more."""

from __future__ import annotations

from dataclasses import dataclass, field

from cotpd.llm.asking.policy import Policy
from cotpd.llm.language_model import Answer, Request

_LETTERS_PER_TOKEN = 3
TOKENS_PER_IMAGE = 1_500
"""What many models take for a picture; one of them takes 25,501."""
_TOKENS_PER_MESSAGE = 8


@dataclass(frozen=True, slots=True)
class Estimate:
    """The most tokens that one attempt is likely to take."""

    prompt: int
    completion: int

    def __add__(self, other: Estimate) -> Estimate:
        return Estimate(self.prompt + other.prompt, self.completion + other.completion)

    @property
    def total(self) -> int:
        """Both together."""
        return self.prompt + self.completion


def estimate(request: Request) -> Estimate:
    """Counted high, from letters, pictures and the longest answer: what is reserved before a request is sent."""
    letters = sum(len(each.content.encode("utf-8", "surrogatepass")) for each in request.messages)
    images = sum(len(each.images) for each in request.messages)
    prompt = letters // _LETTERS_PER_TOKEN + images * TOKENS_PER_IMAGE + len(request.messages) * _TOKENS_PER_MESSAGE
    return Estimate(prompt, request.parameters.max_tokens)


@dataclass(slots=True)
class Spending:
    """Attempts, tokens and money. What is on its way is reserved, so that a budget is not overrun.

    ``prompt_tokens`` and ``completion_tokens`` are what the endpoint told. An answer that tells nothing, and an attempt
    that may be billed although it failed, count in ``guessed`` with their estimate, which the budget believes.
    ``ratio``: the most prompt tokens that a question took, over their estimate, and at least 1; None before the first
    answer, for which a budget of tokens or money waits. ``stretch``: the most tokens that an answer took, over the
    longest that was asked for, and at least 1.
    """

    policy: Policy
    attempts: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    guessed: Estimate = Estimate(0, 0)
    ratio: float | None = None
    stretch: float = 1.0
    reserved: list[Estimate] = field(default_factory=list)

    @property
    def cost(self) -> float | None:
        """The money spent; None where no price is known, or not all tokens."""
        price = self.policy.price
        return price.of(self.prompt_tokens, self.completion_tokens) if price and not self.guessed.total else None

    def allows(self, next_one: Estimate) -> bool:
        """Whether one more attempt stays within the budget, whatever becomes of those on their way."""
        budget, price = self.policy.budget, self.policy.price
        if budget.requests is not None and self.attempts >= budget.requests:
            return False
        if budget.tokens is None and budget.money is None:
            return True
        if self.ratio is None and self.reserved:
            return False
        likely = (self.guessed, *self.reserved, next_one)
        prompt = self.prompt_tokens + (self.ratio or 1.0) * sum(each.prompt for each in likely)
        completion = self.completion_tokens + self.stretch * sum(each.completion for each in likely)
        if budget.tokens is not None and prompt + completion > budget.tokens:
            return False
        return budget.money is None or price is None or price.of(prompt, completion) <= budget.money

    def start(self, attempt: Estimate) -> None:
        """An attempt is on its way."""
        self.attempts += 1
        self.reserved.append(attempt)

    def end(self, attempt: Estimate, answer: Answer) -> int:
        """There is an answer to it: the tokens that it took, as far as one knows."""
        self.reserved.remove(attempt)
        if _is_unread(answer):
            return 0
        self.ratio = self.ratio or 1.0
        return self._pay(attempt, answer.prompt_tokens, answer.completion_tokens)

    def fail(self, attempt: Estimate, spent: tuple[int, int] | None) -> None:
        """It failed, and is billed all the same for what it ``spent``; see `CallError`."""
        self.reserved.remove(attempt)
        if spent is not None:
            self._pay(attempt, *spent)

    def _pay(self, attempt: Estimate, prompt: int, completion: int) -> int:
        """Count the tokens of an attempt, where none are told its estimate, and learn what the others may take."""
        if not (prompt or completion):
            self.guessed = self.guessed + attempt
            return attempt.total
        self.ratio = max(self.ratio or 1.0, prompt / max(1, attempt.prompt))
        self.stretch = max(self.stretch, completion / max(1, attempt.completion))
        self.prompt_tokens += prompt
        self.completion_tokens += completion
        return prompt + completion


def _is_unread(answer: Answer) -> bool:
    """Whether an endpoint refused the question instead of answering it, of which it tells no tokens."""
    is_refused = answer.finish_reason in ("too_long", "content_filter") and not answer.text
    return is_refused and not (answer.prompt_tokens or answer.completion_tokens)
