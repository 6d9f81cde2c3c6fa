"""Read how long a server asks to wait: from ``Retry-After``, from rate limit headers, or from its error message."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_PART = (
    r"(\d{1,9}(?:\.\d{1,9})?)\s{0,2}"
    r"(ms|milliseconds?|hours?|h|minutes?|mins?|m|seconds?|secs?|s|days?|d)(?=[^a-z]|$)"
)
_DURATION = re.compile(_PART, re.IGNORECASE)
_WAIT = re.compile(rf"\b(?:again|retry|wait|reset|available)\b\D{{0,40}}((?:{_PART}[\s,]{{0,2}})+)", re.IGNORECASE)
_RESET = re.compile(r"(?:.*-)?ratelimit-(?:.*-)?reset(?:-.*)?")
_FIELDS = re.compile(r"(?:^|[;,\s])(?:reset|t)=(\d{1,9})\b")
"""The seconds in the single header of the IETF draft: ``limit=10, remaining=0, reset=50`` or ``"minute";r=0;t=50``."""
_MARGIN = 0.25
"""Seconds added to a time that a server rounds."""
_FIRST_DATE = 1e9
"""A larger number of seconds is a date since 1970, not a duration."""


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of ``retry-after-ms`` or ``retry-after``; None if the header is missing or invalid.

    The header holds seconds or an HTTP date. A date is compared with the ``Date`` header of the same response if
    possible, because the clocks of client and server may differ.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is not None or value is None:
        return seconds
    return _seconds_until(_date(value), headers)


def rate_limit_reset(headers: Mapping[str, str]) -> float | None:
    """Return the seconds until the exhausted rate limits are reset; None if no header names a time.

    Understands durations (``x-ratelimit-reset-requests: 6m0s``, ``7.66s``, ``12ms``), plain seconds
    (``ratelimit-reset: 30``), dates (``anthropic-ratelimit-tokens-reset: 2026-01-01T00:00:00Z``) and times since 1970,
    in seconds or milliseconds. A limit is exhausted if its ``remaining`` header is 0. If none is, the earliest reset
    counts.
    """
    exhausted: list[float] = []
    others: list[float] = []
    others += map(float, _FIELDS.findall(headers.get("ratelimit", "")))
    for name, value in headers.items():
        if not _RESET.fullmatch(name) or (seconds := _reset_seconds(value, headers)) is None:
            continue
        remaining = _number(headers.get(name.replace("reset", "remaining")))
        (exhausted if remaining == 0 else others).append(seconds)
    seconds = max(exhausted) if exhausted else min(others, default=None)
    return None if seconds is None else seconds + _MARGIN


def wait_in_message(message: str) -> float | None:
    """Return the seconds in a text such as ``Please try again in 1m2.5s``; None if it names none."""
    match = _WAIT.search(message)
    return None if match is None else _duration(match.group(1)) + _MARGIN


def _reset_seconds(value: str, headers: Mapping[str, str]) -> float | None:
    value = value.strip()
    number = _number(value)
    if number is not None and number < _FIRST_DATE:
        return number
    if number is not None and math.isfinite(number):
        since = number / 1000 if number > 100 * _FIRST_DATE else number
        return _seconds_until(datetime.fromtimestamp(min(since, 1e11), UTC), headers)
    if _DURATION.match(value) and not _DURATION.sub("", value).strip():
        return _duration(value)
    return _seconds_until(_date(value), headers)


def _duration(text: str) -> float:
    return sum(float(number) * _UNITS[_unit(name.lower())] for number, name in _DURATION.findall(text))


def _unit(name: str) -> str:
    return "ms" if name.startswith(("ms", "mil")) else name[0]


def _seconds_until(date: datetime | None, headers: Mapping[str, str]) -> float | None:
    now = _date(headers.get("date")) or datetime.now(UTC)
    return max(0.0, (date - now).total_seconds()) if date else None


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return None if math.isnan(number) or number < 0 else number


def _date(value: str | None) -> datetime | None:
    """Parse an HTTP date or an ISO 8601 date; None if the text is neither."""
    for parse in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            date = parse(value or "")
        except (ValueError, IndexError, TypeError, OverflowError):
            continue
        return date if date.tzinfo else date.replace(tzinfo=UTC)
    return None
