"""Separate the answer of a model from its thoughts and from the control marks of chat formats.

Servers that do not know a model's format pass its marks on as text. This table has the spellings of the open models;
a mark that it lacks makes an answer unusable, so that it is never taken for knowledge.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TAG = r"(?:\w{1,20}[:_])?(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflect(?:ion)?|scratchpad|analysis)(?::\w{1,20})?"
_RESULT_TAG = r"(?:final|(?:final_?)?(?:answer|response|output|solution))"
_BAR = "[|｜]"
_MARKS = {
    "thoughts": (
        rf"<\s?{_TAG}(?:\s[^<>]{{0,80}})?>",  # <think>: Qwen, DeepSeek; <seed:think>: Seed; <mm:think>: MiniMax
        r"\[THINK\]",  # Magistral
        r"◁think▷",  # Kimi
        r"<\|open\|>think<\|sep\|>",  # Kimi K3
        r"<\|channel\|>\s?(?:analysis|commentary)\b",  # gpt-oss (harmony)
        r"(?-i:\A(?:analysis|commentary)(?=[A-Z]))",  # harmony after a server removed its marks
        r"<\|channel>\s?thought\b",  # Gemma
        r"<\|(?:begin_of_|start_of_|begin_|start_)?(?:thoughts?|think(?:ing)?|reasoning)\|>",  # Sky-T1, Command, Solar
        r"<\|inner_prefix\|>",  # Apertus
        r"^here(?: is|[’']s) my thought process:",  # Granite
    ),
    "thoughts_end": (
        rf"<\s?/\s?{_TAG}\s?>",
        r"\[/THINK\]",
        r"◁/think▷",
        r"<\|close\|>think<\|sep\|>",
        r"<channel\|>",
        r"<\|(?:/|end_of_|end_)(?:thoughts?|think(?:ing)?|reasoning)\|>",
        r"<\|inner_suffix\|>",
    ),
    "answer": (
        rf"<{_RESULT_TAG}>",  # Hunyuan
        r"<\|channel\|>\s?final\b(?:\s?<\|message\|>)?",
        r"(?-i:assistantfinal(?=[^\sa-z]))",
        r"<\|open\|>response<\|sep\|>",
        r"<\|(?:start_response|begin_of_solution|begin_of_box|answer_prefix)\|>",  # Command, Sky-T1, GLM, Apertus
        r"^here(?: is|[’']s) my response:",
    ),
    "turn": (
        rf"</{_RESULT_TAG}>",
        r"<\|close\|>\w{1,20}<\|sep\|>",
        r"<\|(?:end_response|end_of_solution|end_of_box|answer_suffix)\|>",
        rf"<{_BAR}(?:im_start|im_end|start_header_id|start_of_role|start_of_turn|start|assistant|begin[_▁]of[_▁]sentence|"
        r"begin_of_text|startoftext|bos|end_header_id|end_of_role|im_sep|message|eot_id|eom_id|eot|endoftext|end_of_text|"
        r"endofturn|end_of_turn|end[_▁]of[_▁]sentence|end|return|call|eos|eod|pad|user|system|assistant_start|assistant_end|"
        rf"start_of_turn_token|end_of_turn_token|chatbot_token|user_token){_BAR}>(?:\s?(?:assistant|model)\b)?",
        r"<(?:/?s|bos|eos|eot|eod|pad|end_of_utterance|end_of_turn|turn\|)>",
        r"<(?:start_of_turn|\|turn)>(?:\s?model\b)?",
        r"\[/?(?:INST|EOS|BOS)\]",
    ),
    "unknown": (
        rf"<{_BAR}[^\s<>|｜]{{1,40}}{_BAR}?>",
        r"<[^\s<>|]{1,40}\|>",
        r"◁[^\s◁▷]{1,40}▷",
        r"</?(?:unk|mask|sep|cls|extra_id_\d{1,3}|tool_calls?|tool_response|function_calls?|image|img|video)>",
        r"\[/?(?:TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|AVAILABLE_TOOLS|SYSTEM_PROMPT|ARGS|UNUSED_TOKEN_\d{1,4})\]",
    ),
}
"""The spellings of each kind of mark: thoughts begin or end, the answer begins, a turn of the conversation ends."""
_MARK = re.compile(
    "|".join(f"(?P<{kind}>{'|'.join(spellings)})" for kind, spellings in _MARKS.items()), re.IGNORECASE | re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class SeparatedAnswer:
    """The text of an answer without its thoughts.

    Attributes:
        text: What the model says after and between its thoughts, up to the end of its turn.
        is_unfinished: Whether the text ends within thoughts.
        has_unknown_mark: Whether ``text`` had a control mark that `separate_thoughts` does not know.
    """

    text: str
    is_unfinished: bool = False
    has_unknown_mark: bool = False


def separate_thoughts(text: str) -> SeparatedAnswer:
    """Return what a model says without its thoughts and without control marks, in one pass over the text.

    Thoughts whose beginning is missing, because it is part of the question, end at the mark that ends them. A mark of a
    turn ends the answer, unless the answer is still empty.
    """
    text, position = text.strip(), 0
    parts: list[str] = []
    is_thinking = has_ended = has_unknown_mark = False
    for mark in _MARK.finditer(text):
        if not (is_thinking or has_ended) and (part := text[position : mark.start()]).strip():
            parts.append(part)
        kind, position = mark.lastgroup, mark.end()
        if kind == "answer" or (kind == "thoughts_end" and not is_thinking):
            parts, is_thinking, has_ended, has_unknown_mark = [], False, False, False
        elif kind in ("thoughts", "thoughts_end"):
            is_thinking = kind == "thoughts"
        elif not (is_thinking or has_ended):
            has_ended = kind == "turn" and bool(parts)
            has_unknown_mark = has_unknown_mark or kind == "unknown"
    if not (is_thinking or has_ended):
        parts.append(text[position:])
    return SeparatedAnswer("".join(parts), is_thinking, has_unknown_mark)
