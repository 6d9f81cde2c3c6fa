"""Untrusted text on a terminal."""

from __future__ import annotations

import re

_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """Replace control characters, bidi controls and lone surrogates, which could control a terminal, by U+FFFD."""
    return _UNPRINTABLE.sub("\ufffd", text)
