"""Parse an answer of a language model into `Knowledge`."""

from __future__ import annotations

import re
from functools import cached_property

from cotpd.core.overlap import comparable_words, fold
from cotpd.core.records import Grain, Knowledge, Post
from cotpd.knowledge.quality import FUNCTION_WORDS
from cotpd.llm.answer_text import UnusableAnswerError, refuse_loop, usable_lines, without_markdown
from cotpd.llm.language_model import Answer

NO_NAMES = "none"
"""What the noun template asks for if a post has no names."""

_NAMED = re.compile(r".*?(?=[:：])|.*?(?= [-–—] )")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=\W?[A-ZÀ-Þ0-9])")


def parse_knowledge(answer: Answer, post: Post, *, grain: Grain, model: str, template: str) -> Knowledge:
    """Return the knowledge in an answer, without reasoning, Markdown, repetitions and names that the post lacks.

    Raises:
        UnusableAnswerError: With one of the reasons of `usable_lines`, ``cut`` (nothing complete before the token
            limit), ``echo`` (only repeats the post or its caption), ``loop`` (repeats itself) or ``ungrounded`` (a noun
            answer that names nothing in the post).
    """
    return Knowledge(
        grain, _usable_text(answer, _PostWords(post), grain), model=model, template=template, example_id=post.id
    )


class _PostWords:
    """A post as answers are compared with it; computed once per answer, because posts and answers may be long."""

    def __init__(self, post: Post) -> None:
        self._post = post

    @cached_property
    def text(self) -> str:
        return _normalise(self._post.text)

    @cached_property
    def caption(self) -> str:
        return _normalise(self._post.caption or "")

    @cached_property
    def content_words(self) -> set[str]:
        return {*comparable_words(self._post.text)} - FUNCTION_WORDS


def _usable_text(answer: Answer, post: _PostWords, grain: Grain) -> str:
    lines = [line for raw in usable_lines(answer) if (line := without_markdown(raw))]
    parts = lines if grain is Grain.NOUN else _SENTENCE_END.split(" ".join(lines))
    if answer.finish_reason == "length":
        parts = _complete_parts(parts, grain)
    parts = _without_echo(_without_repetition(parts, grain), post)
    if grain is Grain.NOUN:
        return "\n".join(_grounded(parts, post))
    text = " ".join(parts)
    refuse_loop(text)
    return text


def _complete_parts(parts: list[str], grain: Grain) -> list[str]:
    """Return the parts of an answer that was cut at the token limit, without the last if it is incomplete."""
    ended = grain is not Grain.NOUN and parts[-1].endswith((".", "!", "?"))
    if not ended and len(parts) == 1:
        raise UnusableAnswerError("cut")
    return parts if ended else parts[:-1]


def _without_repetition(parts: list[str], grain: Grain) -> list[str]:
    """Keep the first of equal sentences, or of noun lines with the same name."""
    first: dict[str, str] = {}
    for part in parts:
        first.setdefault(_name(part) if grain is Grain.NOUN else _normalise(part), part)
    return list(first.values())


def _without_echo(parts: list[str], post: _PostWords) -> list[str]:
    sources = post.text, post.caption
    remaining = [part for part in parts if not any(_normalise(part) in source for source in sources)]
    if not remaining:
        raise UnusableAnswerError("echo")
    return remaining


def _grounded(lines: list[str], post: _PostWords) -> list[str]:
    """Keep the lines that name something in the post. A line "none" is kept only if no other line is."""
    remaining = [line for line in lines if _is_grounded(line, post)]
    if not remaining and _name(lines[0]) == NO_NAMES:
        return lines[:1]
    if not remaining:
        raise UnusableAnswerError("ungrounded")
    for line in remaining:
        refuse_loop(line)
    return remaining


def _is_grounded(line: str, post: _PostWords) -> bool:
    """Return True if the post contains the name that a line explains. Without a name, one common word suffices."""
    if _NAMED.match(line):
        return bool(name := _name(line)) and name in post.text
    return not post.content_words.isdisjoint(comparable_words(line))


def _name(line: str) -> str:
    """Return the name that a line explains, normalised: the part before a colon or a dash, otherwise the whole line."""
    named = _NAMED.match(line)
    return _normalise(named[0] if named else line)


def _normalise(text: str) -> str:
    """Normalise a text for comparison: only letters and digits, case-folded."""
    return "".join(filter(str.isalnum, fold(text)))
