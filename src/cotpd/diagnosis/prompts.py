"""Collapsed prompts: they are the same for every post, or have no effect on the predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cotpd.core.records import NO_RELATION, Example, Prediction
from cotpd.diagnosis.finding import Finding, FindingVerdict, unmeasured
from cotpd.inference.decoding import decode
from cotpd.student.prompt_generator import ConditionalPromptGenerator
from cotpd.student.student import Student
from cotpd.views.view import ViewKind

COLLAPSED_PROMPTS = "the prompts collapsed"

_MIN_CHANGED = 0.01


@dataclass(frozen=True, slots=True)
class PromptFigures:
    """The effect of the prompts of a student on some examples.

    Attributes:
        variance: The share of the prompts' mean square that differs between examples.
        entropy: The entropy of the first layer's attention: 0 on a single piece, 1 if uniform.
        swapped: The share of examples whose prediction changes if they get the prompts of another example.
        removed: The share of examples whose prediction changes without prompts.
        has_predictions: Whether the student predicts any entity or relation.
    """

    variance: float
    entropy: float
    swapped: float
    removed: float
    has_predictions: bool


def prompt_finding(student: Student, examples: Sequence[Example]) -> Finding:
    """Judge whether the prompts of a student differ between examples and change predictions."""
    if student.generator is None:
        return unmeasured(COLLAPSED_PROMPTS, "this student has no prompts")
    if student.generator.source == "nothing":
        return unmeasured(
            COLLAPSED_PROMPTS, "these prompts attend to nothing, so they are the same for every post by design"
        )
    figures = measure_prompts(student, examples)
    if not figures.has_predictions:
        reason = "this student predicts nothing for these posts, neither with their own nor with other prompts"
        return unmeasured(COLLAPSED_PROMPTS, reason)
    return Finding(
        COLLAPSED_PROMPTS,
        FindingVerdict.FOUND if figures.swapped < _MIN_CHANGED else FindingVerdict.ABSENT,
        meaning="Soft prompts should differ between posts and change the predictions; otherwise they only cost time.",
        rule=f"the prompts of another post change the predictions of less than {100 * _MIN_CHANGED:.0f} % of the "
        "posts, because the prompts hardly vary or the encoder ignores them",
        advice="train longer; let the prompt queries attend to the encoder's states (prompt.source = 'states'); "
        "compare with a run with prompt.source = 'nothing' to see whether prompts are worth the cost",
        figures=(
            ("variance between posts, share of the mean square", f"{100 * figures.variance:.2f} %"),
            ("entropy of the attention (0: one piece, 1: uniform)", f"{figures.entropy:.2f}"),
            ("predictions changed by another post's prompts", f"{100 * figures.swapped:.2f} % of posts"),
            ("predictions changed without prompts (text view)", f"{100 * figures.removed:.2f} % of posts"),
        ),
    )


def measure_prompts(student: Student, examples: Sequence[Example]) -> PromptFigures:
    """Measure the prompts of a student. To swap prompts, give each example those of the previous one in its batch."""
    generator = student.generator
    assert generator is not None
    prompts: list[Tensor] = []
    entropies: list[Tensor] = []

    def record(_: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        prompts.append(output.detach())
        entropies.append(attention_entropy(generator, *inputs))

    with _hooked(generator, record):
        original = list(decode(student, examples, kind=ViewKind.PROMPT))
    with _hooked(generator, lambda _, __, output: output.roll(1, 0)):
        swapped = list(decode(student, examples, kind=ViewKind.PROMPT))
    removed = list(decode(student, examples, kind=ViewKind.TEXT))
    return PromptFigures(
        _variance(torch.cat(prompts)),
        float(torch.cat(entropies).mean()),
        _share_changed(original, swapped),
        _share_changed(original, removed),
        has_predictions=any(map(_has_predictions, (*original, *swapped))),
    )


def attention_entropy(generator: ConditionalPromptGenerator, memory: Tensor, mask: Tensor) -> Tensor:
    """Return the entropy of the first layer's attention as a share of that of uniform attention, ``[batch]``.

    The entropy is the mean over prompts and heads.

    Args:
        generator: The prompt generator.
        memory: What the queries attend to, ``[batch, pieces, width]``.
        mask: True for real pieces, ``[batch, pieces]``.
    """
    layer, queries = generator.decoder.layers[0], generator.queries
    memory = generator.normalise_memory(generator.project_memory(memory))
    states = queries + layer._sa_block(layer.norm1(queries)[None], None, None)[0]
    attending = layer.norm2(states).expand(len(memory), -1, -1)
    _, shares = layer.multihead_attn(attending, memory, memory, ~mask, need_weights=True, average_attn_weights=False)
    entropy = -(shares * shares.clamp(min=1e-30).log()).sum(-1).mean((1, 2))
    relative: Tensor = entropy / mask.sum(1).clamp(min=2).log()
    return relative


@contextmanager
def _hooked(generator: ConditionalPromptGenerator, hook: Callable[..., Tensor | None]) -> Iterator[None]:
    handle = generator.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def _variance(prompts: Tensor) -> float:
    """Return the share of the mean square of ``prompts [examples, prompt, embedding]`` around their mean."""
    centred = prompts - prompts.mean(0, keepdim=True)
    return float(centred.square().sum() / prompts.square().sum().clamp(min=1e-30))


def _share_changed(before: Sequence[Prediction], after: Sequence[Prediction]) -> float:
    pairs = zip(before, after, strict=True)
    differ = [(a.entities, a.relations) != (b.entities, b.relations) for a, b in pairs]
    return sum(differ) / len(differ)


def _has_predictions(prediction: Prediction) -> bool:
    return bool(prediction.entities) or any(pair.label != NO_RELATION for pair in prediction.relations)
