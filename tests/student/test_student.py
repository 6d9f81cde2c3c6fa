"""The student reads three views with one encoder and one head; prompts depend only on the text."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from cotpd.core.config import PromptConfig
from cotpd.core.errors import UsageError
from cotpd.core.records import Caption, Example
from cotpd.student.design import PromptDesign
from cotpd.student.prompt_generator import ConditionalPromptGenerator
from cotpd.student.student import Student
from cotpd.views.batch import Batch
from cotpd.views.view import ViewKind

POSTS = [
    Example("1", ("hi", "rio"), caption=Caption("i", "a beach")),
    Example("2", ("the", "lamp", "in", "oslo", "\u200d", "glows"), caption=Caption("j", "a lamp")),
]


def emissions(student: Student, posts: list[Example], kind: ViewKind) -> torch.Tensor:
    views = [student.reader.read(post, kind) for post in posts]
    with torch.inference_mode():
        return student(Batch.of(views, pad=student.reader.pieces.pad))


@pytest.mark.parametrize("kind", ViewKind)
@pytest.mark.parametrize("source", ["embeddings", "states", "nothing"])
def test_padding_does_not_change_scores(make_student: Callable[..., Student], kind: ViewKind, source: str) -> None:
    """Otherwise a prediction would depend on its neighbours in the batch."""
    student = make_student({"source": source})
    together = emissions(student, POSTS, kind)
    for row, post in enumerate(POSTS):
        torch.testing.assert_close(together[row, : len(post.words)], emissions(student, [post], kind)[0])


def test_views_give_different_scores_for_the_same_words(make_student: Callable[..., Student]) -> None:
    student = make_student()
    found = {kind: emissions(student, POSTS, kind) for kind in ViewKind}
    assert {tensor.shape for tensor in found.values()} == {(2, 6, 7)}
    assert not torch.allclose(found[ViewKind.TEXT], found[ViewKind.PROMPT], atol=1e-6)
    assert not torch.allclose(found[ViewKind.TEXT], found[ViewKind.KNOWLEDGE], atol=1e-6)


def test_prompt_view_does_not_depend_on_caption_or_knowledge(make_student: Callable[..., Student]) -> None:
    """The promise of the paper: inference needs only text."""
    student = make_student()
    bare = [Example(post.id, post.words) for post in POSTS]
    torch.testing.assert_close(emissions(student, POSTS, ViewKind.PROMPT), emissions(student, bare, ViewKind.PROMPT))


@pytest.mark.parametrize(("source", "same"), [("embeddings", False), ("states", False), ("nothing", True)])
def test_prompts_depend_on_the_text_unless_their_source_is_nothing(
    make_student: Callable[..., Student], source: str, same: bool
) -> None:
    student = make_student({"source": source})
    assert student.generator is not None
    width = student.encoder.hidden_size
    with torch.inference_mode():
        prompts = student.generator(torch.randn(2, 5, width), torch.ones(2, 5, dtype=torch.bool))
    assert prompts.shape == (2, 3, width)
    assert torch.allclose(prompts[0], prompts[1], atol=1e-5) == same


def test_prompt_view_of_a_student_without_prompts_is_a_usage_error(make_student: Callable[..., Student]) -> None:
    with pytest.raises(UsageError, match="without prompts"):
        emissions(make_student(plain=True), POSTS, ViewKind.PROMPT)


@pytest.mark.parametrize(("hidden_size", "heads"), [(384, 6), (768, 12), (48, 1), (312, 4), (200, 2)])
def test_a_new_prompt_generator_has_heads_of_about_64_units(hidden_size: int, heads: int) -> None:
    assert PromptDesign.of(PromptConfig(), hidden_size).heads == heads


def test_heads_must_divide_the_hidden_size(make_student: Callable[..., Student]) -> None:
    with pytest.raises(UsageError, match="48 is not divisible by 5 heads"):
        make_student({"heads": 5})


def test_prompts_must_leave_room_for_the_text(make_student: Callable[..., Student]) -> None:
    with pytest.raises(UsageError, match=r"prompt\.length must be at most half of the 512 pieces .* got 600"):
        make_student({"length": 600})


def test_new_prompts_have_the_scale_of_word_embeddings(make_student: Callable[..., Student]) -> None:
    """Much larger prompts would dominate the text in the first updates."""
    student = make_student()
    assert student.generator is not None
    with torch.inference_mode():
        prompts = student.generator(torch.randn(4, 5, student.encoder.hidden_size), torch.ones(4, 5, dtype=torch.bool))
    ratio = float(prompts.std() / student.encoder.embeddings.weight.detach().std())
    assert 0.3 < ratio < 3.0


@pytest.mark.parametrize(("heads", "num_layers"), [(1, 1), (2, 1), (4, 2)])
def test_the_folded_first_layer_equals_a_transformer_decoder_layer(heads: int, num_layers: int) -> None:
    """The shortcut for queries that all examples share changes neither values nor gradients."""
    torch.manual_seed(0)
    design = PromptDesign(length=3, layers=num_layers, heads=heads)
    generator = ConditionalPromptGenerator(design, hidden_size=16, embedding_size=8, scale=0.02).double().eval()
    for parameter in generator.parameters():
        nn.init.normal_(parameter, std=0.5)
    memory = torch.randn(5, 7, 8, dtype=torch.float64)
    mask = torch.arange(7) < torch.tensor([[7], [1], [4], [6], [2]])

    def as_in_torch() -> Any:
        seen = generator.normalise_memory(generator.project_memory(memory))
        states = generator.decoder(generator.queries.expand(5, -1, -1), seen, memory_key_padding_mask=~mask)
        return generator.project_prompt(generator.normalise_prompt(states))

    expected, found = as_in_torch(), generator(memory, mask)
    torch.testing.assert_close(found, expected)
    loss_weights = torch.randn_like(found)
    gradients = [
        torch.autograd.grad((prompts * loss_weights).sum(), list(generator.parameters()), allow_unused=True)
        for prompts in (expected, found)
    ]
    for (name, _), one, other in zip(generator.named_parameters(), *gradients, strict=True):
        torch.testing.assert_close(one, other, msg=name)
