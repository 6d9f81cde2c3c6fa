"""Mask secrets in the texts that a server sends."""

from __future__ import annotations

import re
from collections.abc import Iterable

_MIN_LENGTH = 8
_MIN_LENGTH_OF_LETTERS = 16
"""Shorter keys, and shorter ones of letters only, are placeholders for local servers such as ``anything``."""
_BETWEEN = "[^!-~]*"
"""What may stand between two characters of a repeated secret: white space, control or non-ASCII characters."""


class Redaction:
    """Replaces secrets by ``***``, also if line feeds or other characters that are not printable ASCII split them.

    Args:
        secrets: The texts to mask. Those that may be ordinary words are ignored: fewer than 8 characters, or fewer
            than 16 if all are letters. Masking them would change answers.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        patterns = [
            _BETWEEN.join(map(re.escape, "".join(secret.split())))
            for secret in sorted(set(secrets), key=len, reverse=True)
            if len(secret) >= (_MIN_LENGTH_OF_LETTERS if secret.isalpha() else _MIN_LENGTH)
        ]
        self._pattern = re.compile("|".join(patterns)) if patterns else None

    def __call__(self, text: str) -> str:
        """Return the text with its secrets masked."""
        return self._pattern.sub("***", text) if self._pattern else text
