"""Judge what a captioner says: the caption in its answer, or the reason why there is none."""

from __future__ import annotations

import re

from cotpd.llm.answer_text import UnusableAnswerError, refuse_loop, usable_lines, without_markdown
from cotpd.llm.language_model import Answer

_PICTURE = r"(?:\w+ ){0,3}(?:image|picture|photo|photograph|attachment|file)s?\b"
_HANDED = (
    r"(?:attached|provided|uploaded|included|given|available|visible|accessible|shared|sent|displayed|loaded|found)"
)
_HAND = r"(?:attach|provide|upload|include|give|share|send|resend|supply)"
_NO_IMAGE = re.compile(
    r"(?:^|[.!?] )(?:[\w' ]{1,25}, )?(?:but )?(?:it (?:looks|seems|appears) (?:like |that |as if )?)?(?:\w+ ){0,2}?(?:"
    rf"no {_PICTURE}(?: \w+){{0,2}} {_HANDED}|(?:is|was|see) no {_PICTURE}(?! of)|"
    r"(?:i|you|we)(?: am|'m)? (?:do not|don't|did not|didn't|can ?not|can't|could not|couldn't|have not|haven't|"
    r"forgot to|unable to) (?:\w+ )?"
    rf"(?:see|view|access|find|have|get|receive|received|open|load|process|{_HAND}|{_HANDED}) {_PICTURE}|"
    rf"please (?:\w+ )?{_HAND} {_PICTURE}|"
    rf"the {_PICTURE} (?:\w+ ){{0,3}}?(?:not|cannot|can't|couldn't|isn't|wasn't|didn't) (?:be )?(?:{_HANDED}|load)\b)",
    re.IGNORECASE,
)
"""A sentence that says that the model got no image."""
_SENTENCE_END = re.compile(r".*[.!?](?!\w)|.*[。！？]", re.DOTALL)
_OPENING = 300
"""The number of characters in which a model says that it got no image."""


def parse_caption(answer: Answer) -> str:
    """Return the caption in an answer of a vision model; of an answer cut at the token limit, the complete sentences.

    Raises:
        UnusableAnswerError: As `plain_caption` does, or with the reason ``cut`` if no sentence ended before the limit.
    """
    line = " ".join(map(without_markdown, usable_lines(answer)))
    if answer.finish_reason != "length":
        return _usable_caption(line)
    if complete := _SENTENCE_END.match(line):
        return _usable_caption(complete[0])
    _usable_caption(line)
    raise UnusableAnswerError("cut")


def plain_caption(answer: Answer) -> str:
    """Return the caption in an answer of a captioner that writes no Markdown, as one line.

    Raises:
        UnusableAnswerError: With a reason of `usable_lines`, ``empty`` if the caption has no letter or digit,
            ``no image`` if the model says that it got none, or ``loop`` if the caption repeats itself.
    """
    return _usable_caption(" ".join(usable_lines(answer)))


def _usable_caption(line: str) -> str:
    if not any(map(str.isalnum, line)):
        raise UnusableAnswerError("empty")
    if _NO_IMAGE.search(line[:_OPENING].replace("’", "'")):
        raise UnusableAnswerError("no image")
    refuse_loop(line)
    return line
