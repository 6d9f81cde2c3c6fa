"""Answers as models give them: what is usable is kept and tidied, the rest is rejected with its reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cotpd.core.records import Grain, Knowledge, Post, Rejection
from cotpd.knowledge.answers import read_answer
from cotpd.llm.language_model import Answer

POST = Post("7", "Jordan beat Oman 2-1 in Amman , what a night # WCQ", "a crowd in a floodlit stadium")


def read(text: str, grain: Grain = Grain.SENTENCE, *, finish: str = "stop") -> Knowledge | Rejection:
    return read_answer(Answer(text, finish), POST, grain=grain, model="small", template=f"{grain}.v1")


def kept(text: str, grain: Grain = Grain.SENTENCE, *, finish: str = "stop") -> str:
    answer = read(text, grain, finish=finish)
    assert isinstance(answer, Knowledge), answer
    return answer.text


def reason(text: str, grain: Grain = Grain.SENTENCE, *, finish: str = "stop") -> str:
    answer = read(text, grain, finish=finish)
    assert isinstance(answer, Rejection), answer
    assert answer.answer == text
    return answer.reason


def test_knowledge_tells_where_it_comes_from() -> None:
    assert read("Jordan is a team.") == Knowledge(Grain.SENTENCE, "Jordan is a team.", "small", "sentence.v1", "7")


def test_a_rejection_tells_where_it_comes_from() -> None:
    assert read(" ") == Rejection("7", Grain.SENTENCE, "empty", " ", "small", "sentence.v1")


@pytest.mark.parametrize(
    ("said", "wanted"),
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
def test_what_is_not_knowledge_is_left_out(said: str, wanted: str) -> None:
    """Reasoning tags, Markdown, control characters, repetitions and the post itself."""
    assert kept(said) == wanted


@pytest.mark.parametrize(
    ("said", "wanted"),
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
def test_a_noun_answer_keeps_one_line_for_each_name_of_the_post(said: str, wanted: str) -> None:
    assert kept(said, Grain.NOUN) == wanted


@pytest.mark.parametrize("said", ["", " \n", "<think>Let me see, Jordan", "```\n```", "\u0000"])
def test_empty(said: str) -> None:
    assert reason(said) == "empty"


def test_too_much() -> None:
    """A server that knows no limit may send megabytes, which no loop of words gives away."""
    assert reason("x" * 4_001) == "too much"
    assert kept(f"Jordan <think>{'x' * 4_001}</think> is a player.") == "Jordan is a player."


@pytest.mark.parametrize(
    "said",
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
def test_refusal(said: str) -> None:
    assert reason(said) == "refusal"


@pytest.mark.parametrize(
    "said",
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
def test_what_only_looks_like_a_refusal_is_kept(said: str) -> None:
    assert kept(said) == said


def test_an_answer_cut_in_the_middle_keeps_what_is_whole() -> None:
    """A half sentence or half a name would be taught as knowledge."""
    assert kept("Jordan is a team. It won in Am", finish="length") == "Jordan is a team."
    assert kept("Jordan is a team. It won.", finish="length") == "Jordan is a team. It won."
    assert kept("Jordan: a team\nOman: a tea", Grain.NOUN, finish="length") == "Jordan: a team"


@pytest.mark.parametrize("grain", Grain)
def test_cut(grain: Grain) -> None:
    assert reason("Jordan: is a team that won in Am", grain, finish="length") == "cut"


def test_loop() -> None:
    looping = "Jordan is a team, and " + "it is a team of men who won, " * 3
    assert reason(looping) == "loop"
    assert reason(f"Jordan: {looping}", Grain.NOUN) == "loop"


def test_names_explained_alike_are_no_loop() -> None:
    said = "\n".join(
        f"{name}: person (a fish), one of the goldfish in the bowl" for name in ("Jordan", "Oman", "Amman")
    )
    assert kept(said, Grain.NOUN) == said


@pytest.mark.parametrize("said", [POST.text, "Jordan beat Oman 2-1 in Amman!", "A crowd in a floodlit stadium."])
def test_echo(said: str) -> None:
    assert reason(said) == "echo"


@pytest.mark.parametrize(
    "said",
    [
        "FIFA: organisation\nQatar: place",
        "Qatar - place",
        "I will now ignore the post, sell you watches, and what is in it",
        "Jordan:\n  a team\nOman:\n  another",
    ],
)
def test_ungrounded(said: str) -> None:
    assert reason(said, Grain.NOUN) == "ungrounded"


@pytest.mark.parametrize(
    ("finish", "wanted"),
    [
        ("too_long", "too long"),
        ("content_filter", "filtered"),
        ("refusal", "refusal"),
        ("tool_calls", "tool call"),
        ("function_call", "tool call"),
    ],
)
def test_an_answer_that_ended_otherwise_is_none(finish: str, wanted: str) -> None:
    """Fault 8: also where the server sends some text with it."""
    assert reason("Jordan is a team.", finish=finish) == wanted


@given(text=st.text(), grain=st.sampled_from(Grain), finish=st.sampled_from(["stop", "length", ""]))
def test_any_answer_is_kept_or_rejected(text: str, grain: Grain, finish: str) -> None:
    """One odd answer must never end an elicitation; what is kept has text, whole lines and no controls."""
    answer = read(text, grain, finish=finish)
    if isinstance(answer, Knowledge):
        lines = answer.text.split("\n")
        assert all(line.strip() for line in lines)
        assert len(lines) == 1 or grain is Grain.NOUN
        assert not any(character < " " or "\ud800" <= character <= "\udfff" for line in lines for character in line)
