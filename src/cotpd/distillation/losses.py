"""The losses, as functions of tensors."""

from __future__ import annotations

from torch import Tensor


def alignment_loss(target: Tensor, student: Tensor, mask: Tensor, *, temperature: float = 1.0) -> Tensor:
    """KL(target ‖ student) between two views' distributions over each word's tags.

        T² / batch · Σ_words Σ_tags  p^T (log p^T − log q^T),   p^T = softmax(log p / T)

    Sum over words and tags, mean over posts, as ITA and MoRe have it (KB-NER, AdaSeq). ``target`` and ``student``
    are scores ``[batch, words, tags]``, log-marginals of a CRF or its emissions, float32; ``mask [batch, words]``
    is true on words. Detach the target outside, where it shall not learn.
    """
    log_p = (target / temperature).log_softmax(-1)
    log_q = (student / temperature).log_softmax(-1)
    divergence = (log_p.exp() * (log_p - log_q)).sum(-1)
    return divergence.masked_fill(~mask, 0.0).sum() * (temperature**2 / mask.shape[0])
