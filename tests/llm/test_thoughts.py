"""Thoughts and control marks of the open models: only what a model says after them is its answer."""

from __future__ import annotations

import pytest

from cotpd.llm.thoughts import SeparatedAnswer, separate_thoughts

ANSWER = "Lusail is a city."
THOUGHTS = "Is it a person? No."


@pytest.mark.parametrize(
    "text",
    [
        f"<think>{THOUGHTS}</think>\n\n{ANSWER}",
        f"{THOUGHTS}\n</think>\n\n{ANSWER}",
        f"<THINKING>{THOUGHTS}</THINKING>{ANSWER}",
        f"<thought>{THOUGHTS}</thought>{ANSWER}",
        f"<reasoning effort='high'>{THOUGHTS}</reasoning>{ANSWER}",
        f"<seed:think>{THOUGHTS}</seed:think>{ANSWER}",
        f"<mm:think>{THOUGHTS}</mm:think>{ANSWER}",
        f"[THINK]{THOUGHTS}[/THINK]{ANSWER}",
        f"◁think▷{THOUGHTS}◁/think▷{ANSWER}",
        f"<|open|>think<|sep|>{THOUGHTS}<|close|>think<|sep|><|open|>response<|sep|>{ANSWER}<|close|>response<|sep|>",
        f"<|begin_of_thought|>{THOUGHTS}<|end_of_thought|><|begin_of_solution|>{ANSWER}<|end_of_solution|>",
        f"<|START_THINKING|>{THOUGHTS}<|END_THINKING|><|START_RESPONSE|>{ANSWER}<|END_RESPONSE|>",
        f"<|inner_prefix|>{THOUGHTS}<|inner_suffix|>{ANSWER}",
        f"<|channel>thought\n{THOUGHTS}<channel|>{ANSWER}<turn|>",
        f"<think>{THOUGHTS}</think><answer>{ANSWER}</answer>",
        f"<think>{THOUGHTS}</think><|begin_of_box|>{ANSWER}<|end_of_box|>",
        f"Here is my thought process:\n{THOUGHTS}\nHere is my response:\n{ANSWER}",
        f"<|channel|>analysis<|message|>{THOUGHTS}<|end|>"
        f"<|start|>assistant<|channel|>commentary<|message|>{THOUGHTS}<|end|>"
        f"<|start|>assistant<|channel|>final<|message|>{ANSWER}<|return|>",
        f"{THOUGHTS}<|end|><|start|>assistant<|channel|>final<|message|>{ANSWER}",
        f"analysis{THOUGHTS}assistantfinal{ANSWER}",
    ],
)
def test_thoughts_are_no_part_of_the_answer(text: str) -> None:
    separated = separate_thoughts(text)
    assert (separated.text.strip(), separated.has_unknown_mark) == (ANSWER, False)


@pytest.mark.parametrize(
    "mark",
    [
        "<|im_end|>",
        "</s>",
        "<|eot_id|>",
        "<|endoftext|>",
        "<end_of_turn>",
        "<|end|>",
        "<|return|>",
        "<｜end▁of▁sentence｜>",
        "<|end_of_role|>",
        "<eos>",
        "[/INST]",
        "<end_of_utterance>",
        "<|im_end|>\n<|im_start|>user\nAnd Doha?<|im_end|>",
    ],
)
def test_a_mark_of_a_turn_ends_the_answer(mark: str) -> None:
    assert separate_thoughts(f"{ANSWER}{mark}") == SeparatedAnswer(ANSWER)


@pytest.mark.parametrize(
    "mark", ["<s>", "<|im_start|>assistant\n", "<start_of_turn>model\n", "</s>", "<｜Assistant｜>"]
)
def test_a_mark_before_the_answer_is_removed(mark: str) -> None:
    assert separate_thoughts(f"{mark}{ANSWER}").text.strip() == ANSWER


@pytest.mark.parametrize(
    "text",
    [
        f"<think>{THOUGHTS}",
        f"◁think▷{THOUGHTS}<|im_end|>",
        f"<|channel|>analysis<|message|>{THOUGHTS}<|end|>",
        f"analysis{THOUGHTS}",
    ],
)
def test_thoughts_that_do_not_end_are_unfinished(text: str) -> None:
    assert separate_thoughts(text) == SeparatedAnswer("", is_unfinished=True)


@pytest.mark.parametrize(
    "mark", ["<|ponder|>", "<|tool▁call>", "◁pause▷", "<tool_call>", "[TOOL_CALLS]", "<extra_id_0>"]
)
def test_an_unknown_mark_in_the_answer_is_reported(mark: str) -> None:
    assert separate_thoughts(f"{ANSWER} {mark} It hosts.").has_unknown_mark
    assert not separate_thoughts(f"<think>{mark}</think>{ANSWER}").has_unknown_mark


@pytest.mark.parametrize("text", ["I <3 Lusail :>", "a < b | c > d", "[sic] <br> [Thinking]", "analysis of the final"])
def test_other_brackets_belong_to_the_answer(text: str) -> None:
    assert separate_thoughts(text) == SeparatedAnswer(text)
