"""The objective: the student learns the gold labels, and from its own reading of the knowledge."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

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

    The target is another view of the posts through the same weights, or log-marginals recorded from a finished run.
    """

    def __init__(self, student: Student, config: ObjectiveConfig) -> None:
        super().__init__()
        self.student = student
        self.config = config

    def forward(self, view: Batch, target: Batch | Tensor | None, *, progress: float = 1.0) -> Losses:
        """The losses of one batch.

        ``view``: the student's view, with tags. ``target``: the target's view, recorded log-marginals
        ``[batch, words, tags]``, or None. ``progress``: the share of training that is done, for the weight's warm-up.
        """
        crf, config = self.student.crf, self.config
        tags, mask = self.student.tensor(_tags(view)), self.student.tensor(view.word_mask)
        emissions = self.student(view)
        target_emissions = self.student(target) if isinstance(target, Batch) else None

        learning = [emissions] if config.task_loss in ("both", "student") else []
        if target_emissions is not None and config.task_loss in ("both", "target"):
            learning.append(target_emissions)
        task = sum((crf.nll(scores, tags, mask).mean() for scores in learning), emissions.new_zeros(()))
        task = task / len(learning)

        if target is None or config.alignment == "none":
            return Losses(task, task, emissions.new_zeros(()))
        goal = target if isinstance(target, Tensor) else self._distribution(target_emissions, mask)
        alignment = alignment_loss(
            goal.detach() if config.detach else goal,
            self._distribution(emissions, mask),
            mask,
            temperature=config.temperature,
        )
        return Losses(task + self._weight(progress) * alignment, task, alignment)

    def _distribution(self, emissions: Tensor | None, mask: Tensor) -> Tensor:
        """The scores that are aligned, ``[batch, words, tags]``."""
        assert emissions is not None
        return self.student.crf.log_marginals(emissions, mask) if self.config.alignment == "marginals" else emissions

    def _weight(self, progress: float) -> float:
        share = self.config.warmup_share
        return self.config.weight * (min(1.0, progress / share) if share else 1.0)


def _tags(batch: Batch) -> np.ndarray:
    assert batch.tags is not None, "a training batch carries tags"
    return batch.tags
