"""Clean the text of an answer: remove thoughts, code fences and Markdown; detect refusals and loops.

The time is linear in the length of the answer, which may be megabytes from a server without a token limit.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

from cotpd.llm.language_model import Answer
from cotpd.llm.thoughts import separate_thoughts

_UNUSABLE_FINISH_REASONS = {
    "too_long": "too long",
    "content_filter": "filtered",
    "refusal": "refusal",
    "tool_calls": "tool call",
    "function_call": "tool call",
}
_MAX_CHARACTERS = 4_000
"""Ten times the longest answer that any of our templates asks for."""
_FENCE = re.compile(r"```\w*")
_BULLET = re.compile(r"^\s*(?:[-*•]\s+|\d{1,2}[.)]\s+|#+\s+)")
_EMPHASIS = re.compile(r"\*\*|__|`")
_SERVICE = (
    r"(?:help(?! but| myself| \w+ing)|assist|comply|fulfil|provide|answer|respond|do (?:that|this|so)\b|engage|discuss|"
    r"rewrite|rephrase|generate|create|produce|identify|determine|"
    r"(?:write|describe|explain|process|access|view|see) (?:\w+ ){0,2}(?:image|picture|photo|person|people|post|tweet))"
)
_UNABLE = rf"(?:i (?:can ?not|can't|won't) (?:\w+ly )?{_SERVICE}|i(?:'| a)m (?:unable|not able) to)"
_REFUSAL = re.compile(
    rf"\W*(?:{_UNABLE}|i apologi[sz]e|as an ai\b|as a language model|"
    rf"(?:i(?:'| a)?m )?sorry\b(?:\W*(?:no\W*)?$|.*\b(?:{_UNABLE}|as an ai|information|provided|confusion|request)))",
    re.IGNORECASE,
)
"""The opening of a refusal.

Posts also begin with "I can't" or "sorry", so these words only count before a service such as "help" or "describe".
"""
_MUSING = re.compile(
    r"(?:(?:okay|ok|alright|right|hmm+|so|well|wait|now|first(?:ly)?)\W{1,5}){0,3}"
    r"(?:let (?:me|us)\b|let's\b|i (?:need|have|must|should|will)\b|i'll\b|i'm (?:asked|given)|"
    r"we (?:need|have|must|should|are)\b|(?P<user>(?:the|this) user(?:'s)? (?:\w+ ){0,3}"
    r"(?:wants?|asks?|asked|asking|gave|given|provided|needs?|sent|says?)\b))|"
    r"(?:好的|嗯|首先)?[，,]?(?P<user_in_chinese>用户(?:[想要让问给希]|需要|提供))",
    re.IGNORECASE,
)
"""The opening of thoughts that have no marks, such as "Okay, the user wants"."""
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Characters of scripts without spaces between words."""
_LOOP_TIMES, _LOOP_WORDS, _LOOP_CHARACTERS = 3, 5, 10


class UnusableAnswerError(ValueError):
    """Raised for an answer that cannot be used; the message is the reason for the rejection."""


def usable_lines(answer: Answer) -> list[str]:
    """Return the non-empty lines of an answer, without thoughts, code fences and control characters.

    Raises:
        UnusableAnswerError: With one of the reasons ``too long`` (the question exceeds the context of the model),
            ``filtered``, ``tool call``, ``empty``, ``cut`` (the length went into thoughts), ``thoughts`` (thoughts
            without marks instead of an answer), ``control mark`` (a mark of an unknown chat format), ``refusal`` or
            ``too much`` (more than 4,000 characters).
    """
    if answer.finish_reason in _UNUSABLE_FINISH_REASONS:
        raise UnusableAnswerError(_UNUSABLE_FINISH_REASONS[answer.finish_reason])
    is_cut, separated = answer.finish_reason == "length", separate_thoughts(answer.text)
    cleaned = (" ".join(_replace_control_characters(line).split()) for line in separated.text.splitlines())
    lines = [line for line in cleaned if line and not _FENCE.fullmatch(line)]
    if not any(map(without_markdown, lines)):
        raise UnusableAnswerError("cut" if is_cut or separated.is_unfinished else "empty")
    if separated.has_unknown_mark:
        raise UnusableAnswerError("control mark")
    _refuse_opening(without_markdown(lines[0]).replace("’", "'"), is_cut=is_cut)
    if sum(map(len, lines)) > _MAX_CHARACTERS:
        raise UnusableAnswerError("too much")
    return lines


def refuse_loop(text: str) -> None:
    """Raise `UnusableAnswerError` with the reason ``loop`` if a run of words occurs three times.

    A run has five words, or ten characters in a text whose script has no spaces between words.
    """
    units: list[str] | str = text.casefold().split()
    size = _LOOP_WORDS
    if 2 * len(_UNSPACED.findall(text)) > len(text):
        units, size = "".join(units), _LOOP_CHARACTERS
    runs = Counter(tuple(units[start : start + size]) for start in range(len(units) - size + 1))
    if runs and max(runs.values()) >= _LOOP_TIMES:
        raise UnusableAnswerError("loop")


def without_markdown(line: str) -> str:
    """Remove a leading bullet, number or heading mark, and emphasis."""
    return without_emphasis(_BULLET.sub("", line))


def without_emphasis(line: str) -> str:
    """Remove the marks of bold text and code. A leading ``#`` stays: in a post it begins a hashtag."""
    return " ".join(_EMPHASIS.sub("", line).split())


def _refuse_opening(line: str, *, is_cut: bool) -> None:
    """Raise `UnusableAnswerError` if an answer opens with a refusal, or with thoughts instead of an answer."""
    musing = _MUSING.match(line)
    if musing and is_cut:
        raise UnusableAnswerError("cut")
    if musing and (musing["user"] or musing["user_in_chinese"]):
        raise UnusableAnswerError("thoughts")
    if _REFUSAL.match(line):
        raise UnusableAnswerError("refusal")


def _replace_control_characters(text: str) -> str:
    return "".join(" " if unicodedata.category(character) in ("Cc", "Cs") else character for character in text)
