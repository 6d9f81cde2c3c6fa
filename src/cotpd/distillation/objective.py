"""The objective: the task loss on gold labels, and the alignment of the student view with a target."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from cotpd.core.config import ObjectiveConfig
from cotpd.distillation.losses import alignment_loss
from cotpd.student.student import Student
from cotpd.views.batch import Batch


class Losses(NamedTuple):
    """Means over the examples of a batch; ``total`` is minimised."""

    total: Tensor
    task: Tensor
    alignment: Tensor


class Objective(nn.Module):
    """The task loss and the alignment loss of two views of the same examples (arXiv 2306.14122; ITA; MoRe).

        total = mean over learning views of NLL(gold) + weight · KL(target ‖ student)

    Each term is a sum over the examples that have it, divided by the number of all examples of the batch; unlabelled
    examples have no NLL. The target is another view of the examples with the same weights, or log-probabilities that
    were recorded from a teacher run.
    """

    def __init__(self, student: Student, config: ObjectiveConfig) -> None:
        super().__init__()
        self.student = student
        self.config = config

    def forward(
        self,
        view: Batch,
        target: Batch | Tensor | None,
        labelled: npt.NDArray[np.bool_] | None = None,
        *,
        progress: float = 1.0,
    ) -> Losses:
        """Compute the losses of one batch.

        Args:
            view: The student's view, with gold.
            target: The target's view, or recorded log-probabilities ``[batch, decisions, labels]``, or None.
            labelled: ``[batch]`` bool, True for examples with gold labels; by default all have them.
            progress: The completed share of the training, for the warm-up of the alignment weight.
        """
        config, head = self.config, self.student.head
        gold, mask = self.student.tensor(_gold(view)), self.student.tensor(view.decision_mask)
        scores = self.student(view)
        target_scores = self.student(target) if isinstance(target, Batch) else None

        learning = [scores] if config.task_loss in ("both", "student") else []
        if target_scores is not None and config.task_loss in ("both", "target"):
            learning.append(target_scores)
        has_labels = self.student.tensor(np.ones(len(mask), dtype=bool) if labelled is None else labelled)
        task = torch.stack(
            [head.nll(view_scores, gold, mask).masked_fill(~has_labels, 0.0).mean() for view_scores in learning]
        ).mean()

        if target is None or config.alignment == "none":
            return Losses(task, task, torch.zeros_like(task))
        target_distribution = self._distribution(target_scores, mask) if target_scores is not None else target
        assert isinstance(target_distribution, Tensor)
        aligned = ~has_labels if config.aligned == "unlabelled" else torch.ones_like(has_labels)
        alignment = self._alignment(target_distribution, scores, mask, aligned)
        return Losses(task + self._weight(progress) * alignment, task, alignment)

    def _distribution(self, scores: Tensor, mask: Tensor) -> Tensor:
        """Return the scores whose distributions are aligned, ``[batch, decisions, labels]``."""
        return self.student.head.log_probabilities(scores, mask) if self.config.alignment == "marginals" else scores

    def _alignment(self, target: Tensor, scores: Tensor, mask: Tensor, aligned: Tensor) -> Tensor:
        if self.config.alignment == "paths":
            divergence = self.student.head.path_divergence(target, scores, mask, detach=self.config.detach)
            return divergence.masked_fill(~aligned, 0.0).mean()
        student = self._distribution(scores, mask)
        target = target.detach() if self.config.detach else target
        return alignment_loss(target, student, mask & aligned.unsqueeze(1), temperature=self.config.temperature)

    def _weight(self, progress: float) -> float:
        share = self.config.warmup_share
        return self.config.weight * (min(1.0, progress / share) if share else 1.0)


def _gold(batch: Batch) -> np.ndarray:
    assert batch.gold is not None, "a training batch has gold labels"
    return batch.gold
