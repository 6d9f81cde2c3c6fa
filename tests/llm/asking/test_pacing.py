"""When the next attempt may start: pure functions of times that the tests make up."""

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


def test_a_rate_is_kept_over_any_minute() -> None:
    bucket, now, times = Bucket(120), 0.0, []
    for _ in range(300):
        now += bucket.wait(1, now)
        bucket.take(1)
        times.append(now)
    assert max(sum(start <= time < start + 60 for time in times) for start in times) <= 122
    assert times[-1] == pytest.approx(149, abs=1)


def test_an_amount_above_a_seconds_worth_waits_and_leaves_a_debt() -> None:
    bucket = Bucket(60)
    assert bucket.wait(1_000, 0.0) == 0.0
    bucket.take(120)
    assert bucket.wait(1, 0.0) == 120.0
    assert bucket.wait(1, 60.0) == 60.0


def test_no_rate_is_no_wait() -> None:
    assert Bucket(math.inf).wait(10**9, 0.0) == 0.0


def test_a_busy_endpoint_is_asked_half_as_much_once_for_a_round_and_then_slowly_more() -> None:
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


def test_the_wait_that_one_is_told_is_kept_by_all() -> None:
    """Faults 4 and 5."""
    pace = Pace(POLICY, None)
    assert fail(pace, Fault.BUSY, now=100.0, wait=17.0) == 117.0
    assert pace.wait(1, 100.0) == 17.0
    assert pace.wait(1, 117.0) == 0.0


def test_an_absurd_wait_stops_the_run() -> None:
    with pytest.raises(LanguageModelError, match="asks to wait 86400 s: run again later"):
        fail(Pace(POLICY, None), Fault.BUSY, now=0.0, wait=86_400.0)


def test_one_broken_answer_holds_up_nobody_else() -> None:
    pace = Pace(POLICY, None)
    assert 0.5 <= fail(pace, Fault.BROKEN, now=0.0) <= 1.0
    assert (pace.wait(1, 0.0), pace.limit) == (0.0, 64)


def test_rounds_of_failures_cool_down_then_pause_then_stop() -> None:
    """Fault 5: a dead endpoint gets a handful of rounds and one last request, not every question five times."""
    pace, now, waits = Pace(POLICY, None), 0.0, []
    for _ in range(4):
        fail(pace, Fault.BROKEN, now)
        waits.append(pace.wait(1, now))
        now += waits[-1]
    assert waits[0] == 0.0
    assert 1.0 <= waits[1] <= 2.0 <= waits[2] <= 4.0
    assert (waits[3], pace.limit) == (30.0, 1)
    with pytest.raises(LanguageModelError, match="also after a pause"):
        fail(pace, Fault.BROKEN, now)


def test_an_answer_after_the_pause_closes_the_breaker() -> None:
    pace = Pace(POLICY, None)
    for now in range(4):
        fail(pace, Fault.BROKEN, now=float(now))
    assert pace.limit == 1
    pace.succeed()
    assert pace.limit == 64


def test_delays_grow_and_differ() -> None:
    """Those who failed together must not come back together."""
    pace = Pace(POLICY, None)
    delays = [pace.fail(error(Fault.BROKEN), attempt=attempt, started=-1, now=0.0) for attempt in (1, 1, 5, 50)]
    assert len(set(delays)) == 4
    assert 8 <= delays[2] <= 16
    assert delays[3] <= 60


@pytest.mark.parametrize("fault", [Fault.FINAL, Fault.ABSENT])
def test_what_is_final_stops_the_run_at_once(fault: Fault) -> None:
    with pytest.raises(CallError, match="it failed"):
        fail(Pace(POLICY, None), fault, now=0.0)


def test_an_endpoint_that_has_answered_may_come_back() -> None:
    pace = Pace(POLICY, None)
    pace.succeed()
    assert fail(pace, Fault.ABSENT, now=0.0) > 0.0


def test_refusals_of_everything_stop_the_run() -> None:
    pace = Pace(POLICY, None)
    for _ in range(99):
        fail(pace, Fault.REFUSED, now=0.0)
    with pytest.raises(LanguageModelError, match="100 requests in a row were refused"):
        fail(pace, Fault.REFUSED, now=0.0)


def test_a_model_that_takes_one_is_given_one() -> None:
    assert Pace(POLICY, 1).limit == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"budget": Budget(money=1.0)},
        {"concurrency": 0},
        {"attempts": 0},
        {"requests_per_minute": 0},
        {"tokens_per_minute": math.nan},
    ],
)
def test_a_policy_that_allows_nothing_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Policy(**settings)  # type: ignore[arg-type]


def test_money_is_counted_in_millions_of_tokens() -> None:
    assert Price(prompt=2.0, completion=10.0).of(500_000, 100_000) == 2.0
