"""A budget of requests, tokens or money is never exceeded, whatever the endpoint reports."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

import pytest

from cotpd.core.errors import BudgetReachedError
from cotpd.llm.asking.ask import ask
from cotpd.llm.asking.budget import Spending
from cotpd.llm.asking.policy import Budget, Policy, Price
from cotpd.llm.asking.progress import AskingProgress
from cotpd.llm.call_error import CallError, Fault
from cotpd.llm.language_model import Answer, Image, LanguageModel, Message, Parameters, Request
from cotpd.llm.store.request_store import RequestStore
from cotpd.testing.scripted_model import ScriptedModel

FAST = Policy(concurrency=8, delay=0.0, pause=0.0)
REQUESTS = [Request((Message("user", f"Who is {number}?"),), Parameters(20), about=number) for number in range(12)]
"""Each is estimated at 11 prompt tokens and 20 completion tokens."""


def reply(messages: Sequence[Message]) -> Answer:
    return Answer("fine", prompt_tokens=10, completion_tokens=5)


def run(
    requests: Sequence[Request],
    model: LanguageModel,
    policy: Policy,
    *,
    store: RequestStore | None = None,
    spending: Spending | None = None,
) -> AskingProgress:
    """Ask until the budget is reached, and return the last progress."""
    seen = [AskingProgress()]
    with pytest.raises(BudgetReachedError, match="the budget is spent"):
        list(ask(requests, model, policy=policy, store=store, spending=spending, listener=seen.append))
    return seen[-1]


@pytest.mark.parametrize(
    ("budget", "num_answers"),
    [(Budget(requests=4), 4), (Budget(requests=0), 0), (Budget(tokens=100), 5), (Budget(money=0.0001), 5)],
    ids=str,
)
def test_a_budget_stops_before_the_next_request_and_the_next_run_continues(budget: Budget, num_answers: int) -> None:
    policy = replace(FAST, budget=budget, price=Price(1.0, 1.0))
    model = ScriptedModel(reply, max_concurrency=8)
    with RequestStore() as store:
        assert run(REQUESTS, model, policy, store=store).attempts == num_answers
        assert len(list(store)) == num_answers
        spending = Spending(FAST)
        assert len(list(ask(REQUESTS, model, policy=FAST, store=store, spending=spending))) == 12
        assert spending.attempts == 12 - num_answers


@pytest.mark.parametrize(
    ("spent", "attempts", "cost"), [(None, 10, 0.0), ((20, 10), 3, 90.0), ((0, 0), 3, None)], ids=str
)
def test_failed_attempts_count_with_the_tokens_they_are_billed_for(
    spent: tuple[int, int] | None, attempts: int, cost: float | None
) -> None:
    """An incomplete answer is billed, and one that never came may be: its cost is then unknown, not 0."""

    def break_off(messages: Sequence[Message]) -> Answer:
        raise CallError("incomplete", Fault.TRANSIENT, spent=spent)

    budget = Budget(tokens=100, requests=10)
    policy = replace(FAST, budget=budget, price=Price(1e6, 1e6), attempts=99, breaker=99)
    spending = Spending(policy)
    run(REQUESTS[:1], ScriptedModel(break_off), policy, spending=spending)
    assert (spending.attempts, spending.cost) == (attempts, cost)


def test_an_endpoint_that_reports_no_tokens_is_charged_by_estimate() -> None:
    """A budget of tokens must end such a run as well; the cost is unknown, not 0."""
    policy = replace(FAST, budget=Budget(tokens=100), price=Price(1.0, 1.0))
    last = run(REQUESTS, ScriptedModel(lambda messages: "fine"), policy)
    assert (last.done, last.prompt_tokens, last.cost) == (3, 0, None)


@pytest.mark.parametrize(("tokens", "num_answers"), [(30_000, 1), (60_000, 2), (120_000, 4)])
def test_a_budget_holds_if_images_need_more_tokens_than_estimated(tokens: int, num_answers: int) -> None:
    """Some models need 25,501 tokens for an image. The first answer shows that, and the others wait for it."""
    model = ScriptedModel(
        lambda messages: Answer("a field", prompt_tokens=25_501, completion_tokens=10), max_concurrency=8
    )
    images = [Image.of_bytes(bytes([number]), "image/png") for number in range(12)]
    requests = [Request((Message("user", "What?", (each,)),), Parameters(20)) for each in images]
    assert run(requests, model, replace(FAST, budget=Budget(tokens=tokens))).attempts == num_answers


@pytest.mark.parametrize("budget", [Budget(tokens=2_000), Budget(money=0.002)], ids=str)
def test_a_budget_holds_if_answers_exceed_max_tokens(budget: Budget) -> None:
    """Reasoning may not count against the limit, and some servers ignore it. The first answer shows that."""
    model = ScriptedModel(
        lambda messages: Answer("a thought", prompt_tokens=13, completion_tokens=400), max_concurrency=8
    )
    last = run(REQUESTS, model, replace(FAST, budget=budget, price=Price(1.0, 1.0)))
    assert (last.done, last.prompt_tokens + last.completion_tokens) == (4, 4 * 413)


def test_without_a_budget_of_tokens_the_first_requests_run_concurrently() -> None:
    together = threading.Barrier(4)

    def wait_for_others(messages: Sequence[Message]) -> Answer:
        together.wait(10)
        return reply(messages)

    policy = replace(FAST, budget=Budget(requests=4))
    assert len(list(ask(REQUESTS[:4], ScriptedModel(wait_for_others, max_concurrency=4), policy=policy))) == 4


@pytest.mark.parametrize("reason", ["too_long", "content_filter"])
def test_a_question_that_the_model_did_not_read_leaves_the_cost_known(reason: str) -> None:
    model = ScriptedModel(lambda asked: Answer("", reason) if "Who is 0?" in asked[-1].content else reply(asked))
    last = run(REQUESTS, model, replace(FAST, budget=Budget(tokens=100), price=Price(1e6, 1e6)))
    assert (last.asked, last.cost) == (6, 75.0)


def test_one_budget_may_cover_several_calls() -> None:
    model, policy = ScriptedModel(lambda messages: "fine"), replace(FAST, budget=Budget(tokens=100))
    spending = Spending(policy)
    assert len(list(ask(REQUESTS[:2], model, policy=policy, spending=spending))) == 2
    run(REQUESTS[2:4], model, policy, spending=spending)
    assert spending.attempts == 3


@pytest.mark.parametrize(("prompt", "completion"), [(0, 5), (10, 0)])
def test_a_token_count_that_is_not_reported_is_estimated_and_makes_the_cost_unknown(
    prompt: int, completion: int
) -> None:
    """Each request is estimated at 11 prompt and 20 completion tokens."""
    model = ScriptedModel(lambda messages: Answer("fine", prompt_tokens=prompt, completion_tokens=completion))
    policy = replace(FAST, budget=Budget(tokens=70), price=Price(1e6, 1e6))
    spending = Spending(policy)
    progress = run(REQUESTS, model, policy, spending=spending)
    attempts = 3 if completion else 2
    assert (progress.attempts, spending.cost) == (attempts, None)
    assert (spending.prompt_tokens, spending.completion_tokens) == (attempts * prompt, attempts * completion)
    assert spending.unreported.total == attempts * (20 if prompt else 11)
