"""Plans: which requests a run would send, and what they would cost."""

from __future__ import annotations

from cotpd.llm.asking.budget import estimate
from cotpd.llm.asking.plan import plan_requests
from cotpd.llm.asking.policy import Policy, Price
from cotpd.llm.language_model import Answer, Image, Message, Parameters, Request
from cotpd.llm.store.request_store import RequestStore, StoredAnswer
from cotpd.testing.scripted_model import ScriptedModel

MODEL = ScriptedModel(lambda messages: "an answer", name="small")


def request(text: str, *images: Image) -> Request:
    return Request((Message("user", text, images),), Parameters(20), validate=lambda answer: answer.text or None)


def test_equal_requests_are_one_call_and_stored_answers_are_none() -> None:
    first, second, stored, rejected = map(request, ("first", "second", "stored", "rejected"))
    with RequestStore() as store:
        for each, text in ((stored, ""), (rejected, "a reason")):
            store.add([StoredAnswer(each.key(MODEL.endpoint, "small"), MODEL.endpoint, "small", Answer(text))])
        requests = [first, second, first, stored, rejected]
        assert plan_requests(requests, MODEL, store, Policy()).num_calls == 2
        assert plan_requests(requests, MODEL, store, Policy(ask_again=True)).num_calls == 3


def test_follow_ups_count_as_tokens_but_not_as_calls() -> None:
    policy = Policy(price=Price(1e6, 1e6))
    with RequestStore() as store:
        plan = plan_requests([request("first")], MODEL, store, policy, follow_ups=[request("then")] * 2)
    tokens = estimate(request("first")).total + 2 * estimate(request("then")).total
    assert (plan.num_calls, plan.prompt_tokens + plan.completion_tokens, plan.cost) == (1, tokens, float(tokens))


def test_an_unknown_price_is_not_zero_and_images_are_reported() -> None:
    image = Image.of_bytes(b"", "image/jpeg")
    with RequestStore() as store:
        assert plan_requests([request("first")], MODEL, store, Policy()).cost is None
        assert plan_requests([request("first", image)], MODEL, store, Policy()).has_images
