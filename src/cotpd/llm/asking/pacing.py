"""Decide when the next attempt may start: rate limits, concurrency, back-off and a circuit breaker.

The caller passes all times as monotonic seconds. Failures are counted in rounds: a failure begins a new round only if
its attempt started after the previous round failed, so attempts that fail together count once.
"""

from __future__ import annotations

import logging
import math
import random

from cotpd.core.errors import LanguageModelError
from cotpd.llm.asking.policy import Policy
from cotpd.llm.call_error import CallError, Fault

logger = logging.getLogger(__name__)

_MAX_DELAY = 60.0
_LOADING_DELAYS = 5
"""Usual delays between two requests to an endpoint that is loading the model."""
_BUSY_PAUSES = 2
_MAX_REFUSALS = 100


class Bucket:
    """A token bucket that enforces a rate per minute. It holds the amount of one second, so a burst stays short."""

    def __init__(self, per_minute: float) -> None:
        self._per_second = per_minute / 60
        self._capacity = max(1.0, self._per_second)
        self._level = self._capacity
        self._updated = -math.inf

    def wait(self, amount: float, now: float) -> float:
        """Return the seconds until ``amount`` is available; an amount above the capacity needs a full bucket."""
        if math.isinf(self._per_second):
            return 0.0
        self._level = min(self._capacity, self._level + (now - self._updated) * self._per_second)
        self._updated = now
        return max(0.0, (min(amount, self._capacity) - self._level) / self._per_second)

    def take(self, amount: float) -> None:
        """Remove ``amount``, which may make the level negative. A negative amount is put back."""
        self._level -= amount


class Pace:
    """Limits the start of attempts, from the policy and from the answers and failures so far."""

    def __init__(self, policy: Policy, max_concurrency: int | None) -> None:
        self._policy = policy
        self._max_limit = min(policy.concurrency, max_concurrency or policy.concurrency)
        self._limit = float(self._max_limit)
        self._requests, self._tokens = Bucket(policy.requests_per_minute), Bucket(policy.tokens_per_minute)
        self._ready = self._last_failure = -math.inf
        self._failed_rounds = self._refusals = 0
        self._has_answered = self._is_probing = False
        self._loading_since: float | None = None
        self._random = random.Random(0)

    @property
    def limit(self) -> int:
        """The current maximum number of concurrent attempts."""
        return 1 if self._is_probing or self._loading_since is not None else int(self._limit)

    @property
    def is_failing(self) -> bool:
        """True if the last two rounds or more brought only failures."""
        return self._failed_rounds > 1

    def wait(self, tokens: float, now: float) -> float:
        """Return the seconds until an attempt of ``tokens`` tokens may start; 0 means now."""
        return max(0.0, self._ready - now, self._requests.wait(1, now), self._tokens.wait(tokens, now))

    def start(self, tokens: float) -> None:
        """Count an attempt that starts now and is expected to need ``tokens`` tokens."""
        self._requests.take(1)
        self._tokens.take(tokens)

    def correct(self, tokens: float) -> None:
        """Add the difference between the actual and the expected tokens of an attempt."""
        self._tokens.take(tokens)

    def succeed(self) -> None:
        """Record an answer: reset the failures and raise the limit by one per round trip."""
        self._failed_rounds, self._refusals, self._has_answered, self._is_probing = 0, 0, True, False
        self._loading_since = None
        self._limit = min(float(self._max_limit), self._limit + 1 / self._limit)

    def fail(self, error: CallError, *, attempt: int, started: float, now: float) -> float:
        """Record a failed attempt and return the time at which its request may be repeated.

        Args:
            error: The failure.
            attempt: Number of attempts of this request so far.
            started: Time at which the attempt started.
            now: The current time.

        Raises:
            CallError: If the endpoint refuses every request, or has never been reachable.
            LanguageModelError: If the run cannot continue for any other reason.
        """
        fault = error.fault
        if fault is Fault.FATAL or (fault is Fault.UNREACHABLE and not self._has_answered):
            raise error
        if fault is Fault.NOT_RECORDED:
            return now
        if fault is Fault.REFUSED:
            return self._refuse(error, now)
        if fault is Fault.LOADING:
            return self._wait_for_model(error, now)
        if (error.retry_after or 0) > self._policy.max_retry_after:
            limit = f"longer than the limit of {self._policy.max_retry_after:g} s"
            raise LanguageModelError(
                f"{error}; the endpoint asks to wait {error.retry_after:.6g} s, {limit}: run the command again later"
            )
        if started >= self._last_failure:
            self._count_round(error, now)
        if error.retry_after is not None:
            self._ready = max(self._ready, now + error.retry_after)
        return now + (error.retry_after if error.retry_after is not None else self._delay(attempt))

    def _refuse(self, error: CallError, now: float) -> float:
        self._refusals += 1
        if self._refusals >= _MAX_REFUSALS:
            raise LanguageModelError(
                f"{error}; the endpoint rejected {self._refusals} requests in a row: check the model and its settings"
            ) from error
        return now

    def _wait_for_model(self, error: CallError, now: float) -> float:
        """Return the time of the next attempt while the model is loading; only one request is tried at a time."""
        if self._loading_since is None:
            logger.info("%s; waiting up to %g s for the model", error, self._policy.max_loading)
            self._loading_since = now
        if now - self._loading_since >= self._policy.max_loading:
            raise LanguageModelError(
                f"{error}; the model was not loaded within {self._policy.max_loading:g} s: check the log of the server"
            ) from error
        usual = self._policy.delay * _LOADING_DELAYS
        delay = usual if error.retry_after is None else max(self._policy.delay, min(error.retry_after, _MAX_DELAY))
        self._ready = max(self._ready, now + delay)
        return self._ready

    def _count_round(self, error: CallError, now: float) -> None:
        pause = self._policy.pause * (_BUSY_PAUSES if error.fault is Fault.BUSY else 1)
        if self._is_probing:
            raise LanguageModelError(
                f"{error}; every attempt failed, also after a pause of {pause:g} s: check the endpoint, "
                "then run the command again"
            ) from error
        self._last_failure = now
        self._failed_rounds += 1
        if error.fault is Fault.BUSY:
            self._limit = max(1.0, self._limit / 2)
        if self._failed_rounds >= self._policy.breaker:
            self._is_probing = True
            self._ready = now + pause
        elif error.fault is Fault.BUSY or self._failed_rounds > 1:
            self._ready = max(self._ready, now + self._delay(self._failed_rounds))

    def _delay(self, attempt: int) -> float:
        """Return an exponential delay with jitter, so that requests that failed together are not repeated together."""
        return min(_MAX_DELAY, self._policy.delay * 2.0 ** (attempt - 1)) * self._random.uniform(0.5, 1.0)
