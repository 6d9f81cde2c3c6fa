"""What every kind of answer is judged by: thoughts, control marks, loops, and linear time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from time import thread_time

import pytest

from cotpd.captions.caption_text import parse_caption
from cotpd.core.overlap import comparable_words
from cotpd.core.records import Grain, Post
from cotpd.knowledge.answers import parse_knowledge
from cotpd.llm.answer_text import UnusableAnswerError, refuse_loop, usable_lines
from cotpd.llm.language_model import Answer

POST = Post("1", "Lusail hosts the final", "a stadium")


def reason(text: str, *, finish: str = "stop") -> str:
    """Return the reason why an answer is rejected."""
    with pytest.raises(UnusableAnswerError) as rejected:
        usable_lines(Answer(text, finish))
    return str(rejected.value)


@pytest.mark.parametrize(
    "text",
    ["", "</think>", "<think>The post", "We need to find the names. The post", "Hmm, okay. Let me see. The user asks"],
)
def test_an_answer_whose_length_went_into_thoughts_is_cut(text: str) -> None:
    assert reason(text, finish="length") == "cut"


def test_only_a_beginning_of_thoughts_is_cut_whatever_the_server_reports() -> None:
    assert reason("[THINK]The post names") == "cut"


@pytest.mark.parametrize(
    "text",
    [
        "Okay, the user wants me to explain a post.",
        "Well, this user has asked for names.",
        "好的，用户想要解释这个帖子。",
    ],
)
def test_thoughts_without_marks_are_no_answer(text: str) -> None:
    assert reason(text) == "thoughts"


@pytest.mark.parametrize("text", ["Let me see Lusail again!", "We need rain.", "The user interface of Lusail is new."])
def test_an_answer_that_only_opens_like_thoughts_is_kept(text: str) -> None:
    assert usable_lines(Answer(text)) == [text]


def test_an_unknown_control_mark_is_never_stored() -> None:
    assert reason("Lusail is a city. <|plan|> Check it.") == "control mark"


@pytest.mark.parametrize(
    "text", ["one two three four five. " * 3, "la " * 9, "卢赛尔是一座城市，卢赛尔是一个港口。" * 3]
)
def test_a_loop_is_found_in_any_script(text: str) -> None:
    with pytest.raises(UnusableAnswerError, match=r"^loop$"):
        refuse_loop(text)


@pytest.mark.parametrize(
    "text",
    [
        "A man with a hat stands beside a woman with a hat.",
        "卢赛尔是卡塔尔的一座城市，世界杯决赛在卢赛尔体育场举行。",
        "ลูซาอีลเป็นเมืองในประเทศกาตาร์",
    ],
)
def test_words_that_recur_are_no_loop(text: str) -> None:
    refuse_loop(text)


def knowledge(grain: Grain, *, finish: str = "stop") -> Callable[[str], object]:
    return lambda text: parse_knowledge(Answer(text, finish), POST, grain=grain, model="m", template="t")


def about_post(grain: Grain) -> Callable[[str], object]:
    """Judge an answer of many lines about a post with the text."""
    answer = Answer("\n".join(f"„Name{number}“: ville" if number % 2 else f"word {number}" for number in range(99)))
    return lambda text: parse_knowledge(answer, Post("1", text, text), grain=grain, model="m", template="t")


JUDGES: dict[str, Callable[[str], object]] = {
    "noun": knowledge(Grain.NOUN),
    "sentence": knowledge(Grain.SENTENCE),
    "cut": knowledge(Grain.MULTIMODALITY, finish="length"),
    "caption": lambda text: parse_caption(Answer(text, "length")),
    "post of a noun answer": about_post(Grain.NOUN),
    "post of a sentence answer": about_post(Grain.SENTENCE),
    "words": comparable_words,
}
HOSTILE = [" \n", "```\n", "``` ", "<think>", "</s> ", "<|", "a\u0315\u0300", "\u0315\u0300", "か\uff9e\u0300"]
HOSTILE += [
    "Lusail: x\n",
    "„Lusail“ — «ville»; ",
    "卢赛尔。",
    "sorry, no ",
    "I don't see the image ",
    ". A",
    "the user has ",
]


@pytest.mark.parametrize("unit", HOSTILE)
@pytest.mark.parametrize("judge", JUDGES.values(), ids=list(JUDGES))
def test_any_text_is_judged_in_linear_time(judge: Callable[[str], object], unit: str) -> None:
    """Eight times the text takes about eight times as long; quadratic code takes 64 times as long."""
    text = unit * (16_000 // len(unit))
    assert seconds(judge, text * 8) < 32 * max(seconds(judge, text), 0.002)
    assert seconds(judge, f"Lusail{text * 8}end.") < 32 * max(seconds(judge, f"Lusail{text}end."), 0.002)


def seconds(judge: Callable[[str], object], text: str) -> float:
    """Return the seconds of processor time, which other processes do not change."""
    began = thread_time()
    with suppress(UnusableAnswerError):
        judge(text)
    return thread_time() - began
