"""The objective: the student learns the gold labels, and from its own reading of the knowledge."""

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
    """Means over the posts of a batch; ``total`` is what is minimised."""

    total: Tensor
    task: Tensor
    alignment: Tensor


class Objective(nn.Module):
    """Task loss and alignment loss of two views of the same posts (arXiv 2306.14122; ITA; MoRe).

        total = mean over learning views of NLL(gold) + weight · KL(target ‖ student)

    Each is a sum over the posts that have it, divided by all posts of the batch; without labels there is no NLL. The
    target is another view of the posts through the same weights, or log-marginals recorded from a finished run.
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
        """The losses of one batch.

        ``view``: the student's view, with gold. ``target``: the target's view, recorded log-probabilities
        ``[batch, decisions, labels]``, or None. ``labelled [batch]``: whose gold counts, by default that of all.
        ``progress``: the share of training that is done, which the weight's warm-up needs.
        """
        config, head = self.config, self.student.head
        gold, mask = self.student.tensor(_gold(view)), self.student.tensor(view.decision_mask)
        scores = self.student(view)
        target_scores = self.student(target) if isinstance(target, Batch) else None

        learning = [scores] if config.task_loss in ("both", "student") else []
        if target_scores is not None and config.task_loss in ("both", "target"):
            learning.append(target_scores)
        known = self.student.tensor(np.ones(len(mask), dtype=bool) if labelled is None else labelled)
        task = torch.stack([head.nll(found, gold, mask).masked_fill(~known, 0.0).mean() for found in learning]).mean()

        if target is None or config.alignment == "none":
            return Losses(task, task, torch.zeros_like(task))
        goal = self._distribution(target_scores, mask) if target_scores is not None else target
        assert isinstance(goal, Tensor)
        aligned = ~known if config.aligned == "unlabelled" else torch.ones_like(known)
        alignment = self._alignment(goal, scores, mask, aligned)
        return Losses(task + self._weight(progress) * alignment, task, alignment)

    def _distribution(self, scores: Tensor, mask: Tensor) -> Tensor:
        """The scores whose distributions are aligned, ``[batch, decisions, labels]``."""
        return self.student.head.log_probabilities(scores, mask) if self.config.alignment == "marginals" else scores

    def _alignment(self, goal: Tensor, scores: Tensor, mask: Tensor, aligned: Tensor) -> Tensor:
        if self.config.alignment == "paths":
            divergence = self.student.head.path_divergence(goal, scores, mask, detach=self.config.detach)
            return divergence.masked_fill(~aligned, 0.0).mean()
        target, student = goal.detach() if self.config.detach else goal, self._distribution(scores, mask)
        return alignment_loss(target, student, mask & aligned.unsqueeze(1), temperature=self.config.temperature)

    def _weight(self, progress: float) -> float:
        share = self.config.warmup_share
        return self.config.weight * (min(1.0, progress / share) if share else 1.0)


def _gold(batch: Batch) -> np.ndarray:
    assert batch.gold is not None, "a training batch carries gold labels"
    return batch.gold
