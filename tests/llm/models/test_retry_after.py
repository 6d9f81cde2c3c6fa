"""Every form of the ``Retry-After`` header."""

from __future__ import annotations

import math

import pytest

from cotpd.llm.models.retry_after import rate_limit_reset, retry_after, wait_in_message

NOON = "Wed, 25 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Wed, 25 Nov 2026 12:00:30 GMT", "date": NOON}, 30.0),
        ({"retry-after": "Wed, 25 Nov 2026 11:00:00 GMT", "date": NOON}, 0.0),
        ({"retry-after": "inf"}, math.inf),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "Wed, 99 Nov 2026 12:00:00 GMT"}, None),
    ],
)
def test_retry_after_accepts_seconds_and_dates_and_ignores_anything_else(
    headers: dict[str, str], seconds: float | None
) -> None:
    """A date is compared with the clock of the server, because ours may be wrong by hours."""
    assert retry_after(headers) == seconds


def test_without_a_date_header_the_local_clock_is_used() -> None:
    assert retry_after({"retry-after": "Wed, 25 Nov 2015 12:00:00 GMT"}) == 0.0
    assert (retry_after({"retry-after": "Tue, 25 Nov 2195 12:00:00 GMT"}) or 0) > 1e9


DATE = "Tue, 01 Dec 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-reset-requests": "19.6s"}, 19.6),
        ({"x-ratelimit-reset-requests": "6m0s"}, 360.0),
        ({"x-ratelimit-reset-tokens": "12ms"}, 0.012),
        ({"x-ratelimit-reset-tokens": "1h2m3.5s"}, 3723.5),
        ({"x-ratelimit-reset-tokens": "7.66s", "x-ratelimit-reset-requests": "2m59.56s"}, 7.66),
        (
            {
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "2m59.56s",
                "x-ratelimit-remaining-tokens": "17000",
                "x-ratelimit-reset-tokens": "7.66s",
            },
            179.56,
        ),
        ({"x-ratelimit-reset-requests": "10"}, 10.0),
        ({"ratelimit-reset": "30"}, 30.0),
        ({"x-ratelimit-reset-tokens-minute": "11.38"}, 11.38),
        ({"anthropic-ratelimit-requests-reset": "2026-12-01T10:00:45Z", "date": DATE}, 45.0),
        ({"anthropic-ratelimit-tokens-reset": "2026-12-01T12:00:45+02:00", "date": DATE}, 45.0),
        ({"x-ratelimit-reset": "1796119230", "date": DATE}, 30.0),
        ({"x-ratelimit-reset": "1796119230000", "date": DATE}, 30.0),
        ({"x-ratelimit-reset": "Tue, 01 Dec 2026 10:00:30 GMT", "date": DATE}, 30.0),
        ({"ratelimit": "limit=10, remaining=0, reset=50"}, 50.0),
        ({"ratelimit": '"minute";r=0;t=50'}, 50.0),
        ({"x-ratelimit-reset": "soon"}, None),
        ({"x-ratelimit-reset": "-3"}, None),
        ({"x-ratelimit-limit-requests": "5"}, None),
        ({}, None),
    ],
)
def test_rate_limit_headers_name_the_seconds_until_the_limit_is_reset(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert rate_limit_reset(headers) == (None if seconds is None else pytest.approx(seconds + 0.25))


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("Rate limit reached for x. Please try again in 19.6s. Visit https://llm.test", 19.6),
        ("Please try again in 2m59.56s.", 179.56),
        ("try again in 6ms", 0.006),
        ("Please retry after 20 seconds.", 20.0),
        ("Please retry in 36.5s.", 36.5),
        ("wait 2 minutes and 5 s", 120.0),
        ("Limit 5 per 60s, used 5", None),
        ("Try again later", None),
        ("try again in 3 steps", None),
    ],
)
def test_an_error_message_names_the_seconds_to_wait(message: str, seconds: float | None) -> None:
    assert wait_in_message(message) == (None if seconds is None else pytest.approx(seconds + 0.25))
