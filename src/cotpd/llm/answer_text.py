"""What a model said, without what is not meant: thoughts, fences, control characters, refusals, Markdown."""

from __future__ import annotations

import re
import unicodedata

from cotpd.llm.language_model import Answer

_NO_ANSWER = {
    "too_long": "too long",
    "content_filter": "filtered",
    "refusal": "refusal",
    "tool_calls": "tool call",
    "function_call": "tool call",
}
_LONGEST = 4_000
"""Letters: ten times what any of our questions asks for."""
_THOUGHT = re.compile(r"\A(?:(?!<think>).)*</think>|<think>.*?(?:</think>|\Z)", re.DOTALL)
"""Also one whose opening tag the chat template has put into the question."""
_FENCE = re.compile(r"^\s*```\w*\s*$", re.MULTILINE)
_BULLET = re.compile(r"^\s*(?:[-*•]\s+|\d{1,2}[.)]\s+|#+\s+)")
_EMPHASIS = re.compile(r"\*\*|__|`")
_SERVE = (
    r"(?:help(?! but| myself| \w+ing)|assist|comply|fulfil|provide|answer|respond|do (?:that|this|so)\b|engage|discuss|"
    r"rewrite|rephrase|generate|create|produce|identify|determine|"
    r"(?:write|describe|explain|process|access|view|see) (?:\w+ ){0,2}(?:image|picture|photo|person|people|post|tweet))"
)
_UNABLE = rf"(?:i (?:can ?not|can't|won't) (?:\w+ly )?{_SERVE}|i(?:'| a)m (?:unable|not able) to)"
_REFUSAL = re.compile(
    rf"\W*(?:{_UNABLE}|i apologi[sz]e|as an ai\b|as a language model|"
    rf"(?:i(?:'| a)?m )?sorry\b(?:\W*(?:no\W*)?$|.*\b(?:{_UNABLE}|as an ai|information|provided|confusion|request)))",
    re.IGNORECASE,
)
"""Words of refusal alone, such as "I can't" or "sorry", also begin posts: what is not done must be a service."""


class UnusableAnswerError(ValueError):
    """The reason for which an answer is rejected."""


def spoken_lines(answer: Answer) -> list[str]:
    """The lines of an answer that hold something, at least one.

    Raises `UnusableAnswerError`: ``too long`` (the question did not fit the model), ``filtered``, ``tool call``,
    ``empty``, ``refusal``, ``too much`` (far longer than any question of ours asks for).
    """
    if answer.finish_reason in _NO_ANSWER:
        raise UnusableAnswerError(_NO_ANSWER[answer.finish_reason])
    text = _FENCE.sub("", _THOUGHT.sub("", answer.text))
    lines = [squeezed for line in text.splitlines() if (squeezed := " ".join(_printable(line).split()))]
    if not any(map(without_markdown, lines)):
        raise UnusableAnswerError("empty")
    if _REFUSAL.match(without_markdown(lines[0]).replace("’", "'")):
        raise UnusableAnswerError("refusal")
    if sum(map(len, lines)) > _LONGEST:
        raise UnusableAnswerError("too much")
    return lines


def without_markdown(line: str) -> str:
    """A line without bullet, number, heading and emphasis."""
    return without_emphasis(_BULLET.sub("", line))


def without_emphasis(line: str) -> str:
    """A line in which nothing is bold or code. A first ``#`` stays, which in a post is that of a tag."""
    return " ".join(_EMPHASIS.sub("", line).split())


def _printable(text: str) -> str:
    return "".join(" " if unicodedata.category(character) in ("Cc", "Cs") else character for character in text)
