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
_THOUGHT = re.compile(r"<think>.*?(</think>|\Z)", re.DOTALL)
_FENCE = re.compile(r"^\s*```\w*\s*$", re.MULTILINE)
_BULLET = re.compile(r"^\s*(?:[-*•]\s+|\d{1,2}[.)]\s+|#+\s+)")
_EMPHASIS = re.compile(r"\*\*|__|`")
_REFUSAL = re.compile(
    r"\W*(?:i(?:'| a)?m sorry|sorry,|i (?:can ?not|can't|won't|am unable|apologi[sz]e)|as an ai\b|as a language model)",
    re.IGNORECASE,
)


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
    return " ".join(_EMPHASIS.sub("", _BULLET.sub("", line)).split())


def _printable(text: str) -> str:
    return "".join(" " if unicodedata.category(character) in ("Cc", "Cs") else character for character in text)
