"""Losses as functions of tensors."""

from __future__ import annotations

from torch import Tensor


def alignment_loss(target: Tensor, student: Tensor, mask: Tensor, *, temperature: float = 1.0) -> Tensor:
    """Compute KL(target ‖ student) between the distributions of two views over the labels of each decision.

        T² / batch · Σ_decisions Σ_labels  p^T (log p^T − log q^T),   p^T = softmax(log p / T)

    The sum over decisions and labels and the mean over examples follow ITA and MoRe (KB-NER, AdaSeq). Detach the
    target to hold it fixed.

    Args:
        target: Scores ``[batch, decisions, labels]``, float32: log-marginals of a CRF, or its emissions.
        student: Scores of the same shape.
        mask: ``[batch, decisions]`` bool, True for decisions that count.
        temperature: The temperature T of both distributions.
    """
    log_p = (target / temperature).log_softmax(-1)
    log_q = (student / temperature).log_softmax(-1)
    divergence = (log_p.exp() * (log_p - log_q)).sum(-1)
    return divergence.masked_fill(~mask, 0.0).sum() * (temperature**2 / mask.shape[0])
