"""Every form of the ``Retry-After`` header."""

from __future__ import annotations

import math

import pytest

from cotpd.llm.models.retry_after import retry_after

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
