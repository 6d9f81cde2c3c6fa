"""Rate limits, concurrency, back-off and the circuit breaker, with times that the tests pass in."""

from __future__ import annotations

import math

import pytest

from cotpd.core.errors import LanguageModelError, UsageError
from cotpd.llm.asking.pacing import Bucket, Pace
from cotpd.llm.asking.policy import Budget, Policy, Price
from cotpd.llm.call_error import CallError, Fault

POLICY = Policy(concurrency=64, delay=1.0, pause=30.0, breaker=4)


def error(fault: Fault, *, wait: float | None = None) -> CallError:
    return CallError("it failed", fault, retry_after=wait)


def fail(pace: Pace, fault: Fault, now: float, *, started: float | None = None, wait: float | None = None) -> float:
    return pace.fail(error(fault, wait=wait), attempt=1, started=now if started is None else started, now=now)


def test_a_rate_holds_over_any_minute() -> None:
    bucket, now, times = Bucket(120), 0.0, []
    for _ in range(300):
        now += bucket.wait(1, now)
        bucket.take(1)
        times.append(now)
    assert max(sum(start <= time < start + 60 for time in times) for start in times) <= 122
    assert times[-1] == pytest.approx(149, abs=1)


def test_an_amount_above_the_capacity_waits_for_a_full_bucket_and_leaves_a_debt() -> None:
    bucket = Bucket(60)
    assert bucket.wait(1_000, 0.0) == 0.0
    bucket.take(120)
    assert bucket.wait(1, 0.0) == 120.0
    assert bucket.wait(1, 60.0) == 60.0


def test_an_unlimited_rate_never_waits() -> None:
    assert Bucket(math.inf).wait(10**9, 0.0) == 0.0


def test_a_busy_round_halves_the_concurrency_which_then_recovers_slowly() -> None:
    pace = Pace(POLICY, None)
    for _ in range(64):
        fail(pace, Fault.BUSY, now=1.0, started=0.0)
    assert pace.limit == 32
    for _ in range(33):
        pace.succeed()
    assert pace.limit == 33
    for _ in range(10_000):
        pace.succeed()
    assert pace.limit == 64


def test_a_retry_after_of_one_request_delays_all_requests() -> None:
    pace = Pace(POLICY, None)
    assert fail(pace, Fault.BUSY, now=100.0, wait=17.0) == 117.0
    assert pace.wait(1, 100.0) == 17.0
    assert pace.wait(1, 117.0) == 0.0


def test_a_retry_after_above_the_limit_stops_the_run() -> None:
    with pytest.raises(LanguageModelError, match="asks to wait 86400 s, longer than the limit of 300 s"):
        fail(Pace(POLICY, None), Fault.BUSY, now=0.0, wait=86_400.0)


def test_a_single_transient_failure_delays_only_its_own_request() -> None:
    pace = Pace(POLICY, None)
    assert 0.5 <= fail(pace, Fault.TRANSIENT, now=0.0) <= 1.0
    assert (pace.wait(1, 0.0), pace.limit) == (0.0, 64)


def test_rounds_of_failures_lead_to_a_delay_then_a_pause_then_a_stop() -> None:
    """An endpoint that is down gets a few rounds and one last request, not five attempts of every question."""
    pace, now, waits = Pace(POLICY, None), 0.0, []
    for _ in range(4):
        fail(pace, Fault.TRANSIENT, now)
        waits.append(pace.wait(1, now))
        now += waits[-1]
    assert waits[0] == 0.0
    assert 1.0 <= waits[1] <= 2.0 <= waits[2] <= 4.0
    assert (waits[3], pace.limit) == (30.0, 1)
    with pytest.raises(LanguageModelError, match="also after a pause"):
        fail(pace, Fault.TRANSIENT, now)


def test_an_answer_after_the_pause_resets_the_circuit_breaker() -> None:
    pace = Pace(POLICY, None)
    for now in range(4):
        fail(pace, Fault.TRANSIENT, now=float(now))
    assert pace.limit == 1
    pace.succeed()
    assert pace.limit == 64


def test_delays_grow_and_are_jittered() -> None:
    """Requests that failed together must not be repeated together."""
    pace = Pace(POLICY, None)
    delays = [pace.fail(error(Fault.TRANSIENT), attempt=attempt, started=-1, now=0.0) for attempt in (1, 1, 5, 50)]
    assert len(set(delays)) == 4
    assert 8 <= delays[2] <= 16
    assert delays[3] <= 60


@pytest.mark.parametrize("fault", [Fault.FATAL, Fault.UNREACHABLE])
def test_a_fatal_or_first_unreachable_failure_stops_the_run_at_once(fault: Fault) -> None:
    with pytest.raises(CallError, match="it failed"):
        fail(Pace(POLICY, None), fault, now=0.0)


def test_an_endpoint_that_has_answered_before_may_become_unreachable_for_a_while() -> None:
    pace = Pace(POLICY, None)
    pace.succeed()
    assert fail(pace, Fault.UNREACHABLE, now=0.0) > 0.0


def test_a_hundred_refusals_in_a_row_stop_the_run() -> None:
    pace = Pace(POLICY, None)
    for _ in range(99):
        fail(pace, Fault.REFUSED, now=0.0)
    with pytest.raises(LanguageModelError, match="rejected 100 requests in a row"):
        fail(pace, Fault.REFUSED, now=0.0)


def test_the_concurrency_never_exceeds_that_of_the_model() -> None:
    assert Pace(POLICY, 1).limit == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"budget": Budget(money=1.0)}, "a budget of money needs the price of tokens"),
        ({"concurrency": 0}, "concurrency must be at least 1, got 0"),
        ({"attempts": 0}, "attempts must be at least 1, got 0"),
        ({"requests_per_minute": 0}, "requests_per_minute must be above 0, got 0"),
        ({"tokens_per_minute": math.nan}, "tokens_per_minute must be above 0, got nan"),
    ],
)
def test_a_policy_that_allows_no_request_raises_an_error(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Policy(**settings)  # type: ignore[arg-type]


def test_prices_are_per_million_tokens() -> None:
    assert Price(prompt=2.0, completion=10.0).of(500_000, 100_000) == 2.0


def test_a_busy_endpoint_is_tried_again_after_more_than_a_minute() -> None:
    """Rate limits count per minute, and not every server says when the minute is over."""
    pace, now = Pace(POLICY, None), 0.0
    for _ in range(4):
        fail(pace, Fault.BUSY, now)
        now += pace.wait(1, now)
    assert now > 60
    with pytest.raises(LanguageModelError, match="also after a pause of 60 s"):
        fail(pace, Fault.BUSY, now)


def test_a_loading_endpoint_gets_one_request_at_a_time_until_it_answers() -> None:
    pace, now = Pace(POLICY, None), 0.0
    for _ in range(100):
        now = fail(pace, Fault.LOADING, now)
        assert (pace.limit, pace.is_failing) == (1, False)
    assert now == 500.0
    assert fail(pace, Fault.LOADING, now, wait=20.0) == 520.0
    assert fail(pace, Fault.LOADING, now, wait=0.0) > now, "a server that names no time is not flooded"
    pace.succeed()
    assert pace.limit == 64


def test_a_model_that_is_never_loaded_stops_the_run() -> None:
    pace = Pace(POLICY, None)
    fail(pace, Fault.LOADING, 10.0)
    with pytest.raises(LanguageModelError, match="it failed; the model was not loaded within 900 s"):
        fail(pace, Fault.LOADING, 910.0)
