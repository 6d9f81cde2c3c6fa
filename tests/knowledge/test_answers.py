"""Parsing of answers: usable text is cleaned, unusable answers are rejected with their reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cotpd.core.records import Grain, Knowledge, Post
from cotpd.knowledge import answers
from cotpd.knowledge.answers import parse_knowledge
from cotpd.llm.answer_text import UnusableAnswerError
from cotpd.llm.language_model import Answer

POST = Post("7", "Jordan beat Oman 2-1 in Amman , what a night # WCQ", "a crowd in a floodlit stadium")


def parse(text: str, grain: Grain = Grain.SENTENCE, *, finish: str = "stop") -> str:
    """Return the knowledge in an answer."""
    answer = Answer(text, finish)
    return parse_knowledge(answer, POST, grain=grain, model="small", template=f"{grain}.v1").text


def reason(text: str, grain: Grain = Grain.SENTENCE, *, finish: str = "stop") -> str:
    """Return the reason why an answer is rejected."""
    with pytest.raises(UnusableAnswerError) as rejected:
        parse(text, grain, finish=finish)
    return str(rejected.value)


def test_knowledge_names_its_source() -> None:
    answer = Answer("Jordan is a team.")
    knowledge = parse_knowledge(answer, POST, grain=Grain.SENTENCE, model="small", template="sentence.v1")
    assert knowledge == Knowledge(Grain.SENTENCE, "Jordan is a team.", "small", "sentence.v1", "7")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<think>Jordan? A player?\n</think>\nJordan is a team.", "Jordan is a team."),
        ("Jordan? A player?\n</think>\n\nJordan is a team.", "Jordan is a team."),
        ("Jordan?</think>It</think>Jordan is a team. <think>Is it?</think>It won.", "Jordan is a team. It won."),
        ("```text\nJordan is a team.\n```", "Jordan is a team."),
        ("# Answer\n- **Jordan** is a `team`.\n2. It won.", "Answer Jordan is a team. It won."),
        ("Jordan is a team.\r\n\r\n It\u0000 won\tat last. ", "Jordan is a team. It won at last."),
        ("Jordan is a team. It won. Jordan is a TEAM! It won.", "Jordan is a team. It won."),
        ("Jordan beat Oman 2-1 in Amman, what a night. Jordan is a team.", "Jordan is a team."),
    ],
)
def test_everything_but_knowledge_is_removed(text: str, expected: str) -> None:
    """Reasoning tags, Markdown, control characters, repetitions and the post itself."""
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Jordan: team, it won\nOman: team, it lost", "Jordan: team, it won\nOman: team, it lost"),
        ("#WCQ: event\njordan: team\nJORDAN: country", "#WCQ: event\njordan: team"),
        ("Jordan: team\nFIFA: organisation\ncrowd: people", "Jordan: team"),
        ("none: only ordinary words\nAmman: place", "Amman: place"),
        ("None: only ordinary words", "None: only ordinary words"),
        ("none", "none"),
        ("Jordan - team, it won\nFIFA – organisation\nOman — team", "Jordan - team, it won\nOman — team"),
        ("FIFA：organisation\nJordan：team", "Jordan：team"),
        ("Jordan: team\n:-) : a smile\nThen buy a watch", "Jordan: team"),
        ("Jordan is a team that won in Amman.", "Jordan is a team that won in Amman."),
    ],
)
def test_a_noun_answer_has_one_line_per_name_in_the_post(text: str, expected: str) -> None:
    assert parse(text, Grain.NOUN) == expected


@pytest.mark.parametrize("text", ["", " \n", "<think>Jordan?</think>", "```\n```", "\u0000", "</s>"])
def test_an_empty_answer_is_rejected(text: str) -> None:
    assert reason(text) == "empty"


def test_an_endless_answer_is_rejected() -> None:
    """A server without a token limit may send megabytes that no loop detection catches."""
    assert reason("x" * 4_001) == "too much"
    assert parse(f"Jordan <think>{'x' * 4_001}</think> is a player.") == "Jordan is a player."


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help.",
        "I’m sorry.",
        "Sorry, no.",
        "I cannot assist.",
        "As an AI, I do not know Jordan.",
        "I can't directly help with that.",
        "I'm unable to see Jordan.",
        "I won't rewrite this post.",
        "I cannot describe the second picture.",
        "I'm sorry, but the information provided is not enough.",
    ],
)
def test_a_refusal_is_rejected(text: str) -> None:
    assert reason(text) == "refusal"


@pytest.mark.parametrize(
    "text",
    [
        "I can see a team. It won.",
        "Sorry is what Oman feels. Jordan won.",
        "I can't wait to see Jordan play.",
        "I cannot believe that Jordan won.",
        "I can't help but love Jordan.",
        "Sorry, but Jordan is the best.",
        "I'm sorry but nobody plays like Jordan.",
    ],
)
def test_text_that_only_looks_like_a_refusal_is_kept(text: str) -> None:
    assert parse(text) == text


def test_a_cut_answer_keeps_its_complete_parts() -> None:
    assert parse("Jordan is a team. It won in Am", finish="length") == "Jordan is a team."
    assert parse("Jordan is a team. It won.", finish="length") == "Jordan is a team. It won."
    assert parse("Jordan: a team\nOman: a tea", Grain.NOUN, finish="length") == "Jordan: a team"


@pytest.mark.parametrize("grain", Grain)
def test_a_cut_answer_without_a_complete_part_is_rejected(grain: Grain) -> None:
    assert reason("Jordan: is a team that won in Am", grain, finish="length") == "cut"


def test_an_answer_that_repeats_itself_is_rejected() -> None:
    looping = "Jordan is a team, and " + "it is a team of men who won, " * 3
    assert reason(looping) == "loop"
    assert reason(f"Jordan: {looping}", Grain.NOUN) == "loop"


def test_names_with_equal_explanations_are_no_loop() -> None:
    text = "\n".join(
        f"{name}: person (a fish), one of the goldfish in the bowl" for name in ("Jordan", "Oman", "Amman")
    )
    assert parse(text, Grain.NOUN) == text


@pytest.mark.parametrize("text", [POST.text, "Jordan beat Oman 2-1 in Amman!", "A crowd in a floodlit stadium."])
def test_an_answer_that_only_repeats_the_post_is_rejected(text: str) -> None:
    assert reason(text) == "echo"


@pytest.mark.parametrize(
    "text",
    [
        "FIFA: organisation\nQatar: place",
        "Qatar - place",
        "I will now ignore the post, sell you watches, and what is in it",
        "Jordan:\n  a team\nOman:\n  another",
    ],
)
def test_a_noun_answer_without_names_of_the_post_is_rejected(text: str) -> None:
    assert reason(text, Grain.NOUN) == "ungrounded"


@pytest.mark.parametrize(
    ("finish", "expected"),
    [
        ("too_long", "too long"),
        ("content_filter", "filtered"),
        ("refusal", "refusal"),
        ("tool_calls", "tool call"),
        ("function_call", "tool call"),
    ],
)
def test_an_unusual_finish_reason_is_a_rejection(finish: str, expected: str) -> None:
    """Even if the server sends text as well."""
    assert reason("Jordan is a team.", finish=finish) == expected


def test_a_long_post_is_compared_once_with_an_answer_of_many_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A post of 100,000 characters in several scripts and quotes; the answer has 500 lines."""
    post, num_read = Post("8", "„Jordan“ — 约旦 «الأردن» 'Oman' " * 3_000, "a crowd"), 0

    def count(read: Callable[[str], Any]) -> Callable[[str], Any]:
        def counted(text: str) -> Any:
            nonlocal num_read
            num_read += text == post.text
            return read(text)

        return counted

    monkeypatch.setattr(answers, "fold", count(answers.fold))
    monkeypatch.setattr(answers, "comparable_words", count(answers.comparable_words))
    lines = [f"{name}: {number}" for number in range(100) for name in (f"x{number}", "y", "约旦")] + [
        "«الأردن» is",
        "Om",
    ] * 99
    answer = Answer("\n".join(lines))
    parsed = parse_knowledge(answer, post, grain=Grain.NOUN, model="small", template="noun.v1")
    assert parsed.text == "约旦: 0\n«الأردن» is"
    assert num_read == 2


@given(text=st.text(), grain=st.sampled_from(Grain), finish=st.sampled_from(["stop", "length", ""]))
def test_any_answer_is_parsed_or_rejected(text: str, grain: Grain, finish: str) -> None:
    """No answer may end an elicitation. Knowledge has text, complete lines and no control characters."""
    try:
        parsed = parse(text, grain, finish=finish)
    except UnusableAnswerError:
        return
    lines = parsed.split("\n")
    assert all(line.strip() for line in lines)
    assert len(lines) == 1 or grain is Grain.NOUN
    assert not any(character < " " or "\ud800" <= character <= "\udfff" for line in lines for character in line)
