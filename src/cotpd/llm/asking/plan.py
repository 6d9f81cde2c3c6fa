"""The plan of a run that has not started: how many requests it would send, their tokens and their price."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cotpd.llm.asking.budget import Estimate, estimate
from cotpd.llm.asking.policy import Policy
from cotpd.llm.language_model import LanguageModel, Request
from cotpd.llm.store.request_store import RequestStore


@dataclass(frozen=True, slots=True)
class AskingPlan:
    """The requests that a run would send.

    Attributes:
        num_calls: Different requests without an answer in the store.
        prompt_tokens: Estimated from above, except for images.
        completion_tokens: The most that the requests allow.
        cost: None if no price is known.
        has_images: Whether a request carries an image, whose tokens are only a guess.
    """

    num_calls: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None
    has_images: bool


def plan_requests(
    requests: Iterable[Request],
    model: LanguageModel,
    store: RequestStore,
    policy: Policy,
    *,
    follow_ups: Sequence[Request] = (),
) -> AskingPlan:
    """Return the plan for requests; equal requests are one call.

    ``follow_ups`` stand for requests that depend on answers: their tokens are included, their number is not.
    """
    distinct = {request.key(model.endpoint, model.name): request for request in requests}
    calls = [request for request in distinct.values() if is_open(request, model, store, policy)]
    tokens = sum(map(estimate, (*calls, *follow_ups)), Estimate(0, 0))
    return AskingPlan(
        num_calls=len(calls),
        prompt_tokens=tokens.prompt,
        completion_tokens=tokens.completion,
        cost=policy.price.of(tokens.prompt, tokens.completion) if policy.price else None,
        has_images=any(message.images for request in (*calls, *follow_ups) for message in request.messages),
    )


def is_open(request: Request, model: LanguageModel, store: RequestStore, policy: Policy) -> bool:
    """Return True if a run would send this request.

    That is the case if the store has no answer, or if the policy asks again for rejected answers and it has one.
    """
    stored = store.find(request.key(model.endpoint, model.name))
    return stored is None or (policy.ask_again and request.validate(stored.answer) is not None)
