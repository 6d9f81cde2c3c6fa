"""Random answers of a model: each check returns a usable value or gives a reason. `make fuzz` tries many more."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cotpd.core.records import Grain, Knowledge, Post
from cotpd.knowledge.answers import parse_knowledge
from cotpd.knowledge.augmentation.reading import parse_verdict
from cotpd.llm.answer_text import UnusableAnswerError
from cotpd.llm.call_error import CallError
from cotpd.llm.language_model import Answer
from cotpd.llm.models.completion import ResponseContext, read_body

bounded = settings(max_examples=settings.default.max_examples, derandomize=settings.default.max_examples <= 100)
"""100 examples from a fixed seed by default."""
POST = Post("1", "RT @ ann : Anna Lee joins Ajax !", "a woman in a stadium")
_PIECES = st.sampled_from(
    [
        "Anna Lee", "Ajax", "anna", "RT @ ann", ": a club", " - a singer", "joins", "a woman in a stadium", "\n",
        "\n\n", ".", "! ", "* ", "1. ", "## ", "**", "`", "```json\n", "```", "<think>", "</think>",
        "I cannot help with that",
        "Sorry", "none", "None", "As an AI", "\x1b[31m", "\x00", "\u2028", "\u202e", "\ud83d", "\ufeff", "{", '"',
        "yes", "No", "é", "ｆ", "ß",
    ]
)  # fmt: skip
_TEXTS = st.lists(_PIECES | st.text(max_size=5), max_size=12).map("".join)
_REASONS = st.sampled_from(["stop", "length", "", "content_filter", "tool_calls", "refusal", "too_long"])
_ANSWERS = st.builds(Answer, _TEXTS, _REASONS)


def value_or_reason(parse: Callable[[], object]) -> tuple[object, str]:
    """Return what ``parse`` returns, or the reason that it gives."""
    try:
        return parse(), ""
    except (UnusableAnswerError, CallError) as error:
        assert str(error), "an error without a reason"  # noqa: PT017
        return None, str(error)


@given(_ANSWERS, st.sampled_from(list(Grain)))
@bounded
def test_knowledge_is_clean_text_or_has_a_reason(answer: Answer, grain: Grain) -> None:
    parse = partial(parse_knowledge, answer, POST, grain=grain, model="m", template="t")
    knowledge, reason = value_or_reason(parse)
    if reason:
        return
    assert isinstance(knowledge, Knowledge)
    assert knowledge.text.strip()
    assert not any(character in knowledge.text for character in "\x00\x1b\ud83d\u2028")
    assert answer.finish_reason not in ("content_filter", "tool_calls", "refusal", "too_long")
    assert parse() == knowledge


@given(_ANSWERS)
@bounded
def test_a_verdict_is_yes_or_no_or_has_a_reason(answer: Answer) -> None:
    verdict, reason = value_or_reason(partial(parse_verdict, answer))
    assert bool(reason) == (verdict is None)


_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["choices", "message", "content", "error", "usage", "finish_reason", "text", "type", "code"]),
        inner, max_size=4,
    ),
    max_leaves=8,
)  # fmt: skip


@st.composite
def completions(draw: st.DrawFn) -> bytes:
    """Draw a completion in which some parts have another type, and sometimes other bytes."""
    message = {"content": draw(_TEXTS | _VALUES), "refusal": draw(st.none() | _TEXTS)}
    choice = {"message": draw(st.just(message) | _VALUES), "finish_reason": draw(_REASONS | _VALUES)}
    usage = {"prompt_tokens": draw(st.integers() | _VALUES), "completion_tokens": draw(st.integers() | _VALUES)}
    body = {"model": draw(_TEXTS | _VALUES), "choices": draw(st.just([choice]) | _VALUES)}
    body |= draw(st.just({}) | st.just({"usage": usage}) | st.fixed_dictionaries({"error": _VALUES}))
    content = json.dumps(body).encode("utf-8", "surrogatepass")
    cut = draw(st.none() | st.integers(0, len(content)))
    return draw(st.sampled_from([b"", b"\xef\xbb\xbf", b" ", b"\xff"])) + content[:cut]


@given(completions(), st.sampled_from([200, 400, 429, 500]))
@bounded
def test_a_response_is_an_answer_or_a_classified_error(content: bytes, status: int) -> None:
    answer, reason = value_or_reason(partial(read_body, content, ResponseContext("m", status)))
    if reason:
        return
    assert isinstance(answer, Answer)
    assert answer.text.encode("utf-8") is not None, "lone surrogates cannot be encoded"
    for number in (answer.prompt_tokens, answer.completion_tokens):
        assert number is None or 0 <= number <= 10**9
