"""Mask secrets in the texts that a server sends."""

from __future__ import annotations

import re
from collections.abc import Iterable

_MIN_LENGTH = 8
"""Shorter keys are placeholders for local servers. Masking them would change ordinary words."""
_BETWEEN = "[^!-~]*"
"""What may stand between two characters of a repeated secret: white space, control or non-ASCII characters."""


class Redaction:
    """Replaces secrets by ``***``, also if line feeds or other characters that are not printable ASCII split them.

    Args:
        secrets: The texts to mask; those with fewer than eight characters are ignored.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        patterns = [
            _BETWEEN.join(map(re.escape, "".join(secret.split())))
            for secret in sorted(set(secrets), key=len, reverse=True)
            if len(secret) >= _MIN_LENGTH
        ]
        self._pattern = re.compile("|".join(patterns)) if patterns else None

    def __call__(self, text: str) -> str:
        """Return the text with its secrets masked."""
        return self._pattern.sub("***", text) if self._pattern else text
