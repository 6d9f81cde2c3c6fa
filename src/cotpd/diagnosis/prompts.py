"""Prompts that collapsed: they are the same whatever the post says, or nothing comes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cotpd.core.records import NO_RELATION, Example, Prediction
from cotpd.diagnosis.finding import Finding, Verdict, unmeasured
from cotpd.inference.decoding import decode
from cotpd.student.prompt_generator import ConditionalPromptGenerator
from cotpd.student.student import Student
from cotpd.views.view import ViewKind

SIGNATURE = "the prompts collapsed"

_CHANGED = 0.01


@dataclass(frozen=True, slots=True)
class PromptFigures:
    """``variance``: the share of the prompts' mean square that differs between posts. ``entropy``: of the first
    layer's attention, 0 on one piece and 1 on all alike. ``swapped`` and ``removed``: the share of posts whose
    prediction changes with another post's prompts, and without any. ``finds_something``: whether any entity or relation
    is found at all.
    """

    variance: float
    entropy: float
    swapped: float
    removed: float
    finds_something: bool


def prompt_finding(student: Student, posts: Sequence[Example]) -> Finding:
    """The verdict on the prompts of a student that ships the prompt-enhanced view."""
    if student.generator is None:
        return unmeasured(SIGNATURE, "this student has no prompts")
    if student.generator.source == "nothing":
        return unmeasured(SIGNATURE, "these prompts look at nothing, so they are the same for every post by design")
    figures = measure_prompts(student, posts)
    if not figures.finds_something:
        return unmeasured(SIGNATURE, "this student finds nothing in these posts, with its own prompts or with others")
    return Finding(
        SIGNATURE,
        Verdict.FOUND if figures.swapped < _CHANGED else Verdict.ABSENT,
        means="The soft prompts should differ from post to post and matter; else they are so much ballast.",
        rule=f"another post's prompts change the predictions of under {100 * _CHANGED:.0f} % of the posts: either they "
        "hardly vary, or what they say is not heard",
        advice="raise optimisation.generator_learning_rate; let the queries look at the encoder's states "
        "(prompt.source); check by a run with prompt.source = 'nothing' whether they are worth their cost",
        figures=(
            ("variance between posts, share of the mean square", f"{100 * figures.variance:.2f} %"),
            ("entropy of the attention, 0 one piece, 1 all alike", f"{figures.entropy:.2f}"),
            ("predictions changed by another post's prompts", f"{100 * figures.swapped:.2f} % of posts"),
            ("predictions changed without prompts (text view)", f"{100 * figures.removed:.2f} % of posts"),
        ),
    )


def measure_prompts(student: Student, posts: Sequence[Example]) -> PromptFigures:
    """The figures of a student's prompts on these posts. Another post's prompts are those of the next in a batch."""
    generator = student.generator
    assert generator is not None
    prompts: list[Tensor] = []
    entropies: list[Tensor] = []

    def watch(_: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        prompts.append(output.detach())
        entropies.append(attention_entropy(generator, *inputs))

    with _hooked(generator, watch):
        whole = list(decode(student, posts, kind=ViewKind.PROMPT))
    with _hooked(generator, lambda _, __, output: output.roll(1, 0)):
        swapped = list(decode(student, posts, kind=ViewKind.PROMPT))
    alone = list(decode(student, posts, kind=ViewKind.TEXT))
    return PromptFigures(
        _variance(torch.cat(prompts)),
        float(torch.cat(entropies).mean()),
        _changed(whole, swapped),
        _changed(whole, alone),
        finds_something=any(map(_finds_something, (*whole, *swapped))),
    )


def attention_entropy(generator: ConditionalPromptGenerator, memory: Tensor, mask: Tensor) -> Tensor:
    """The entropy of the first layer's attention, ``[batch]``, over that of looking at all pieces alike.

    ``memory [batch, pieces, width]``, ``mask [batch, pieces]``; mean over prompts and heads.
    """
    layer, queries = generator.decoder.layers[0], generator.queries
    memory = generator.normalise_memory(generator.project_memory(memory))
    states = queries + layer._sa_block(layer.norm1(queries)[None], None, None)[0]
    asked = layer.norm2(states).expand(len(memory), -1, -1)
    _, shares = layer.multihead_attn(asked, memory, memory, ~mask, need_weights=True, average_attn_weights=False)
    entropy = -(shares * shares.clamp(min=1e-30).log()).sum(-1).mean((1, 2))
    found: Tensor = entropy / mask.sum(1).clamp(min=2).log()
    return found


@contextmanager
def _hooked(generator: ConditionalPromptGenerator, hook: Callable[..., Tensor | None]) -> Iterator[None]:
    handle = generator.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def _variance(prompts: Tensor) -> float:
    """``prompts [posts, prompt, embedding]``: what is left of their mean square without their mean over posts."""
    around = prompts - prompts.mean(0, keepdim=True)
    return float(around.square().sum() / prompts.square().sum().clamp(min=1e-30))


def _changed(one: Sequence[Prediction], other: Sequence[Prediction]) -> float:
    pairs = zip(one, other, strict=True)
    differ = [(a.entities, a.relations) != (b.entities, b.relations) for a, b in pairs]
    return sum(differ) / len(differ)


def _finds_something(prediction: Prediction) -> bool:
    return bool(prediction.entities) or any(pair.label != NO_RELATION for pair in prediction.relations)
