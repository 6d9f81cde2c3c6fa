"""Text of others on a terminal: shown, never obeyed."""

from __future__ import annotations

import re

_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """The text with U+FFFD for what could steer a terminal or cannot be written: controls, bidi controls, halves."""
    return _UNPRINTABLE.sub("\ufffd", text)
