"""Raw text to words and back to characters: the one rule by which posts are split, after that of Twitter-2017.

A word is the first of these that fits: a link; an emoji with all that joins it (skin tones, joiners, flags); a number
with inner points or commas (``1,500``); a run of letters, digits and underscores with their combining marks; else any
single character that is not white space. So ``#`` and ``@`` stand apart from their tags, and ``it's`` is ``it ' s``.
Words joined by spaces split into the same words again.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_PICTOGRAPH = "[\u2190-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff][\ufe0e\ufe0f\U0001f3fb-\U0001f3ff]*"
_EMOJI = f"[\U0001f1e6-\U0001f1ff]{{2}}|{_PICTOGRAPH}(?:\u200d{_PICTOGRAPH})*"
_WORD = re.compile(rf"https?://\S+|{_EMOJI}|\d+(?:[.,]\d+)+(?!\w)|\w[\w\u0300-\u036f]*|\S")


class Word(NamedTuple):
    """A word and its characters ``[start, end)`` in the text, counted in code points."""

    text: str
    start: int
    end: int


def split_words(text: str) -> list[Word]:
    """The words of a text, in order, with their offsets; no character but white space is left out."""
    return [Word(match[0], *match.span()) for match in _WORD.finditer(text)]
