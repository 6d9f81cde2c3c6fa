"""When the next attempt may start: rates, how many at once, cool-downs, and the breaker that ends a hopeless run.

All times are monotonic seconds given by the caller. Failures are counted in rounds: of the attempts that were on their
way together, the first that fails tells what the others will repeat.
"""

from __future__ import annotations

import math
import random

from cotpd.core.errors import LanguageModelError
from cotpd.llm.asking.policy import Policy
from cotpd.llm.call_error import CallError, Fault

_LONGEST_DELAY = 60.0
_MOST_REFUSALS = 100


class Bucket:
    """A rate per minute, spread evenly: at most a second's worth at once."""

    def __init__(self, per_minute: float) -> None:
        self._per_second = per_minute / 60
        self._capacity = max(1.0, self._per_second)
        self._level = self._capacity
        self._at = -math.inf

    def wait(self, amount: float, now: float) -> float:
        """The seconds until ``amount`` may be taken; more than the capacity waits for a full bucket."""
        if math.isinf(self._per_second):
            return 0.0
        self._level = min(self._capacity, self._level + (now - self._at) * self._per_second)
        self._at = now
        return max(0.0, (min(amount, self._capacity) - self._level) / self._per_second)

    def take(self, amount: float) -> None:
        """Take ``amount``, which may leave a debt; a negative one gives back."""
        self._level -= amount


class Pace:
    """The state of the endpoint as its answers show it."""

    def __init__(self, policy: Policy, most_at_once: int | None) -> None:
        self._policy = policy
        self._most = min(policy.concurrency, most_at_once or policy.concurrency)
        self._limit = float(self._most)
        self._requests, self._tokens = Bucket(policy.requests_per_minute), Bucket(policy.tokens_per_minute)
        self._ready = self._last_failure = -math.inf
        self._rounds = self._refusals = 0
        self._has_answered = self._is_trying = False
        self._random = random.Random(0)

    @property
    def limit(self) -> int:
        """The most attempts at once, now."""
        return 1 if self._is_trying else int(self._limit)

    @property
    def is_failing(self) -> bool:
        """Whether more than once in a row nothing has come but failures."""
        return self._rounds > 1

    def wait(self, tokens: float, now: float) -> float:
        """The seconds until an attempt of so many tokens may start; 0: now."""
        return max(0.0, self._ready - now, self._requests.wait(1, now), self._tokens.wait(tokens, now))

    def start(self, tokens: float) -> None:
        """An attempt starts that may take so many tokens."""
        self._requests.take(1)
        self._tokens.take(tokens)

    def correct(self, tokens: float) -> None:
        """An attempt took so many tokens more than was thought, or fewer."""
        self._tokens.take(tokens)

    def succeed(self) -> None:
        """There was an answer: failures are forgotten, and one more may ask after each round trip."""
        self._rounds, self._refusals, self._has_answered, self._is_trying = 0, 0, True, False
        self._limit = min(float(self._most), self._limit + 1 / self._limit)

    def fail(self, error: CallError, *, attempt: int, started: float, now: float) -> float:
        """An attempt failed: the time at which its request may be asked again. Raises what ends the run."""
        fault = error.fault
        if fault is Fault.FINAL or (fault is Fault.ABSENT and not self._has_answered):
            raise error
        if fault is Fault.UNKNOWN:
            return now
        if fault is Fault.REFUSED:
            return self._refuse(error, now)
        if (error.retry_after or 0) > self._policy.longest_wait:
            raise LanguageModelError(f"{error}; it asks to wait {error.retry_after:.6g} s: run again later")
        if started >= self._last_failure:
            self._count_round(error, now)
        if error.retry_after is not None:
            self._ready = max(self._ready, now + error.retry_after)
        return now + (error.retry_after if error.retry_after is not None else self._delay(attempt))

    def _refuse(self, error: CallError, now: float) -> float:
        self._refusals += 1
        if self._refusals >= _MOST_REFUSALS:
            raise LanguageModelError(f"{error}; {self._refusals} requests in a row were refused") from error
        return now

    def _count_round(self, error: CallError, now: float) -> None:
        if self._is_trying:
            raise LanguageModelError(f"{error}; nothing but failures, also after a pause: run again later") from error
        self._last_failure = now
        self._rounds += 1
        if error.fault is Fault.BUSY:
            self._limit = max(1.0, self._limit / 2)
        if self._rounds >= self._policy.breaker:
            self._is_trying = True
            self._ready = now + self._policy.pause
        elif error.fault is Fault.BUSY or self._rounds > 1:
            self._ready = max(self._ready, now + self._delay(self._rounds))

    def _delay(self, attempt: int) -> float:
        """Twice as long each time, and spread, so that those who failed together do not come back together."""
        return min(_LONGEST_DELAY, self._policy.delay * 2.0 ** (attempt - 1)) * self._random.uniform(0.5, 1.0)
