"""The losses equal their equations, and gradients reach exactly the parts that should learn."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor

from cotpd.core.config import ExperimentConfig
from cotpd.distillation.losses import alignment_loss
from cotpd.distillation.objective import Losses, Objective
from cotpd.distillation.training_batches import TrainingBatches
from cotpd.student.student import Student

TEXT_ONLY = {"student": "text", "target": "none", "task_loss": "student", "alignment": "none"}


def test_alignment_loss_equals_the_published_sum() -> None:
    """Sum over words and tags, mean over examples, times T squared, without padding: computed with loops."""
    torch.manual_seed(1)
    target, student = torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    mask = torch.tensor([[True, True, True], [True, False, False]])
    expected = 0.0
    for post in range(2):
        for word in range(3):
            if mask[post, word]:
                p = torch.softmax(target[post, word] / 2, -1)
                q = torch.softmax(student[post, word] / 2, -1)
                expected += float((p * (p / q).log()).sum()) * 4 / 2
    assert float(alignment_loss(target, student, mask, temperature=2.0)) == pytest.approx(expected, rel=1e-5)


def test_alignment_loss_of_equal_distributions_is_zero_whatever_the_padding() -> None:
    scores = torch.randn(1, 2, 3)
    spoiled = scores.clone()
    spoiled[0, 1] = torch.tensor([1e4, -1e4, 0.0])
    mask = torch.tensor([[True, False]])
    assert float(alignment_loss(scores, spoiled, mask)) == pytest.approx(0.0, abs=1e-6)


def losses(student: Student, batches: TrainingBatches, config: ExperimentConfig, progress: float = 1.0) -> Losses:
    step = batches.read(batches.batches(0)[0], epoch=0)
    torch.manual_seed(1)
    return Objective(student.eval(), config.objective)(step.view, step.target, progress=progress)


def gradient(student: Student, loss: Tensor) -> Tensor:
    student.zero_grad()
    loss.backward()
    gradient = student.encoder.embeddings.weight.grad
    assert gradient is not None
    return gradient.clone()


@pytest.mark.parametrize("alignment", ["marginals", "emissions", "paths"])
def test_both_views_learn_and_are_aligned(
    make_batches: Callable[..., Any], configure: Callable[..., ExperimentConfig], alignment: str
) -> None:
    student, batches = make_batches()
    config = configure(objective={"alignment": alignment, "weight": 0.5})
    found = losses(student, batches, config)
    assert float(found.alignment.detach()) > 0
    torch.testing.assert_close(found.total, found.task + 0.5 * found.alignment)
    assert student.generator is not None
    gradient(student, found.total)
    assert all(weight.grad is not None for weight in student.parameters())


@pytest.mark.parametrize("alignment", ["marginals", "emissions", "paths"])
def test_no_gradient_reaches_a_detached_target(
    make_batches: Callable[..., Any], configure: Callable[..., ExperimentConfig], alignment: str
) -> None:
    student, batches = make_batches()
    objective = {"alignment": alignment, "task_loss": "target"}
    held = gradient(student, losses(student, batches, configure(objective={**objective, "detach": True})).alignment)
    free = gradient(student, losses(student, batches, configure(objective={**objective, "detach": False})).alignment)
    assert not torch.allclose(held, free)


def test_alignment_of_paths_holds_the_transitions_of_the_target_fixed(
    make_batches: Callable[..., Any], configure: Callable[..., ExperimentConfig]
) -> None:
    """Target and student share the transitions, so the gradient must treat those of the target as constants."""
    student, batches = make_batches()
    config = configure(objective={"alignment": "paths", "task_loss": "student"})
    step, student = batches.read(batches.batches(0)[0], epoch=0), student.eval()
    frozen, mask = deepcopy(student.crf).requires_grad_(False), torch.from_numpy(step.view.word_mask)
    expected = student.crf.kl(student(step.target).detach(), student(step.view), mask, frozen).mean()
    found = losses(student, batches, config).alignment
    torch.testing.assert_close(found, expected)
    (wanted,), (got,) = (torch.autograd.grad(loss, [student.crf.transitions]) for loss in (expected, found))
    torch.testing.assert_close(got, wanted)


@pytest.mark.parametrize(("task_loss", "views"), [("both", 2), ("target", 1), ("student", 1)])
def test_the_task_loss_is_the_mean_over_the_learning_views(
    make_batches: Callable[..., Any], configure: Callable[..., ExperimentConfig], task_loss: str, views: int
) -> None:
    student, batches = make_batches()
    step = batches.read(batches.batches(0)[0], epoch=0)
    gold, mask = torch.from_numpy(step.view.gold), torch.from_numpy(step.view.word_mask)
    chosen = {"both": (step.view, step.target), "target": (step.target,), "student": (step.view,)}[task_loss]
    assert len(chosen) == views
    student.eval()
    expected = sum(student.crf.nll(student(view), gold, mask).mean() for view in chosen) / views
    found = losses(student, batches, configure(objective={"task_loss": task_loss}))
    torch.testing.assert_close(found.task, expected)


def test_alignment_weight_grows_during_its_warmup(
    make_batches: Callable[..., Any], configure: Callable[..., ExperimentConfig]
) -> None:
    student, batches = make_batches()
    config = configure(objective={"warmup_share": 0.5, "weight": 2.0})
    for progress, weight in ((0.0, 0.0), (0.25, 1.0), (0.5, 2.0), (1.0, 2.0)):
        found = losses(student, batches, config, progress)
        torch.testing.assert_close(found.total, found.task + weight * found.alignment)


def test_text_only_objective_has_only_the_task_loss(
    make_batches: Callable[..., Any], configure: Callable[..., ExperimentConfig]
) -> None:
    student, batches = make_batches(objective=TEXT_ONLY)
    found = losses(student, batches, configure(objective=TEXT_ONLY))
    assert student.generator is None
    assert float(found.alignment) == 0.0
    torch.testing.assert_close(found.total, found.task)


def test_part_dropout_removes_the_configured_share_of_parts(make_batches: Callable[..., Any]) -> None:
    _, whole = make_batches()
    _, thinned = make_batches(views={"part_dropout": 0.5})
    everything = list(range(len(whole.examples)))
    full = whole.read(everything, epoch=0).target.mask.sum()
    assert 0.3 < thinned.read(everything, epoch=0).target.mask.sum() / full < 0.95
    first, again, next_epoch = (thinned.read(everything, epoch=epoch).target.ids for epoch in (0, 0, 1))
    assert first.shape == again.shape
    assert (first == again).all()
    assert first.shape != next_epoch.shape or (first != next_epoch).any()
