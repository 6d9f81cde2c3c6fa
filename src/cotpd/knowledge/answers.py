"""An answer of a language model, tidied, as `Knowledge`, or as a `Rejection` that says why."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

from cotpd.core.overlap import comparable_words
from cotpd.core.records import Grain, Knowledge, Post, Rejection
from cotpd.knowledge.quality import FUNCTION_WORDS
from cotpd.llm.answer_text import UnusableAnswerError, spoken_lines, without_markdown
from cotpd.llm.language_model import Answer

NO_NAMES = "none"
"""What the noun template asks for in place of a name when a post has none."""

_LOOP_WORDS, _LOOP_TIMES = 5, 3
_NAMED = re.compile(r".*?(?=[:：])|.*?(?= [-–—] )")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=\W?[A-ZÀ-Þ0-9])")


def read_answer(answer: Answer, post: Post, *, grain: Grain, model: str, template: str) -> Knowledge | Rejection:
    """The knowledge in an answer, without reasoning tags, Markdown, repetitions and names that the post lacks.

    Reasons of a rejection: ``too long`` (the question did not fit the model), ``filtered``, ``tool call``, ``empty``,
    ``refusal``, ``too much`` (endless), ``cut`` (nothing whole before the token limit), ``echo`` (only the post or its
    caption again), ``loop``, ``ungrounded`` (a noun answer names nothing of the post).
    """
    try:
        text = _usable_text(answer, post, grain)
    except UnusableAnswerError as reason:
        return Rejection(post.id, grain, str(reason), answer.text, model=model, template=template)
    return Knowledge(grain, text, model=model, template=template, example_id=post.id)


def _usable_text(answer: Answer, post: Post, grain: Grain) -> str:
    lines = [line for spoken in spoken_lines(answer) if (line := without_markdown(spoken))]
    parts = lines if grain is Grain.NOUN else _SENTENCE_END.split(" ".join(lines))
    if answer.finish_reason == "length":
        parts = _whole(parts, grain)
    parts = _without_echo(_without_repetition(parts, grain), post)
    if grain is Grain.NOUN:
        return "\n".join(_grounded(parts, post))
    return _unless_looping(" ".join(parts))


def _whole(parts: list[str], grain: Grain) -> list[str]:
    """The parts of an answer cut at the token limit, without the last if it is not whole."""
    ended = grain is not Grain.NOUN and parts[-1].endswith((".", "!", "?"))
    if not ended and len(parts) == 1:
        raise UnusableAnswerError("cut")
    return parts if ended else parts[:-1]


def _without_repetition(parts: list[str], grain: Grain) -> list[str]:
    """Each sentence once; each name of a noun answer once."""
    keys = [_name(part) if grain is Grain.NOUN else _squeezed(part) for part in parts]
    return [part for number, part in enumerate(parts) if keys[number] not in keys[:number]]


def _without_echo(parts: list[str], post: Post) -> list[str]:
    sources = _squeezed(post.text), _squeezed(post.caption or "")
    kept = [part for part in parts if not any(_squeezed(part) in source for source in sources)]
    if not kept:
        raise UnusableAnswerError("echo")
    return kept


def _grounded(lines: list[str], post: Post) -> list[str]:
    """The lines that name something of the post; a line that says there is none only when it is the only one."""
    kept = [line for line in lines if _is_grounded(line, post)]
    if not kept and _name(lines[0]) == NO_NAMES:
        return lines[:1]
    if not kept:
        raise UnusableAnswerError("ungrounded")
    return [_unless_looping(line) for line in kept]


def _is_grounded(line: str, post: Post) -> bool:
    """Whether the post has the name of a line, or of a line without one a word that is no function word."""
    if _NAMED.match(line):
        return bool(name := _name(line)) and name in _squeezed(post.text)
    return not FUNCTION_WORDS.issuperset({*comparable_words(line)} & {*comparable_words(post.text)})


def _name(line: str) -> str:
    """What a line explains, squeezed: what comes before a colon or a dash, else all of it."""
    named = _NAMED.match(line)
    return _squeezed(named[0] if named else line)


def _unless_looping(text: str) -> str:
    words = text.casefold().split()
    runs = Counter(tuple(words[start : start + _LOOP_WORDS]) for start in range(len(words) - _LOOP_WORDS + 1))
    if runs and max(runs.values()) >= _LOOP_TIMES:
        raise UnusableAnswerError("loop")
    return text


def _squeezed(text: str) -> str:
    """Letters and digits only, without case: as much of a text as survives any way of writing it."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text).casefold()))
