"""Clean the text of an answer: remove reasoning, code fences, control characters and Markdown; detect refusals."""

from __future__ import annotations

import re
import unicodedata

from cotpd.llm.language_model import Answer

_UNUSABLE_FINISH_REASONS = {
    "too_long": "too long",
    "content_filter": "filtered",
    "refusal": "refusal",
    "tool_calls": "tool call",
    "function_call": "tool call",
}
_MAX_CHARACTERS = 4_000
"""Ten times the longest answer that any of our templates asks for."""
_REASONING = re.compile(r"\A(?:(?!<think>).)*</think>|<think>.*?(?:</think>|\Z)", re.DOTALL)
"""A reasoning block. Some chat templates put the opening tag into the prompt, so a lone ``</think>`` counts as well."""
_FENCE = re.compile(r"^\s*```\w*\s*$", re.MULTILINE)
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


class UnusableAnswerError(ValueError):
    """Raised for an answer that cannot be used; the message is the reason for the rejection."""


def spoken_lines(answer: Answer) -> list[str]:
    """Return the non-empty lines of an answer, without reasoning, code fences and control characters.

    Raises:
        UnusableAnswerError: With one of the reasons ``too long`` (the question exceeds the context of the model),
            ``filtered``, ``tool call``, ``empty``, ``refusal`` or ``too much`` (more than 4,000 characters).
    """
    if answer.finish_reason in _UNUSABLE_FINISH_REASONS:
        raise UnusableAnswerError(_UNUSABLE_FINISH_REASONS[answer.finish_reason])
    text = _FENCE.sub("", _REASONING.sub("", answer.text))
    cleaned = (" ".join(_replace_control_characters(line).split()) for line in text.splitlines())
    lines = [line for line in cleaned if line]
    if not any(map(without_markdown, lines)):
        raise UnusableAnswerError("empty")
    if _REFUSAL.match(without_markdown(lines[0]).replace("’", "'")):
        raise UnusableAnswerError("refusal")
    if sum(map(len, lines)) > _MAX_CHARACTERS:
        raise UnusableAnswerError("too much")
    return lines


def without_markdown(line: str) -> str:
    """Remove a leading bullet, number or heading mark, and emphasis."""
    return without_emphasis(_BULLET.sub("", line))


def without_emphasis(line: str) -> str:
    """Remove the marks of bold text and code. A leading ``#`` stays: in a post it begins a hashtag."""
    return " ".join(_EMPHASIS.sub("", line).split())


def _replace_control_characters(text: str) -> str:
    return "".join(" " if unicodedata.category(character) in ("Cc", "Cs") else character for character in text)
