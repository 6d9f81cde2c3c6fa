"""The heads on the states of the encoder: a CRF over the tags of words, and a classifier of marked spans."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cotpd.core.labels import LabelSet
from cotpd.student.crf.linear_chain import LinearChainCRF

DROPOUT = 0.1
"""The dropout before the linear layer."""


class TaggingHead(nn.Module):
    """A linear layer that scores the tags of each word from the state of its first piece, and a CRF over them.

    In all methods ``scores`` is ``[batch, words, tags]``, ``gold`` and ``mask`` are ``[batch, words]``.
    """

    def __init__(self, label_set: LabelSet, *, hidden_size: int) -> None:
        super().__init__()
        self.dropout = nn.Dropout(DROPOUT)
        self.project = nn.Linear(hidden_size, len(label_set.tags))
        self.crf = LinearChainCRF(label_set.allowed_transitions())

    def forward(self, states: Tensor, first_pieces: Tensor) -> Tensor:
        """Compute float32 emissions ``[batch, words, tags]`` from ``states [batch, pieces, hidden]``."""
        emissions: Tensor = self.project(self.dropout(_states_at(states, first_pieces)))
        return emissions.float()

    def nll(self, scores: Tensor, gold: Tensor, mask: Tensor) -> Tensor:
        """Compute the negative log-likelihood of each gold tag sequence, ``[batch]``."""
        return self.crf.nll(scores, gold, mask)

    def log_probabilities(self, scores: Tensor, mask: Tensor) -> Tensor:
        """Compute the log-marginals of the tags of each word."""
        return self.crf.log_marginals(scores, mask)

    def path_divergence(self, target: Tensor, student: Tensor, mask: Tensor, *, detach: bool) -> Tensor:
        """Compute KL(target ‖ student) between distributions over tag sequences, ``[batch]``.

        With ``detach``, no gradient reaches the target, neither its scores nor its transitions.
        """
        return self.crf.kl_detached(target, student, mask) if detach else self.crf.kl(target, student, mask)


class MarkedSpanHead(nn.Module):
    """A classifier of marked spans, from the states of the markers that open them.

    Entity markers and their start states as in Soares et al. (2019): concatenate, normalise, project. All marked spans
    together are one decision. In all methods ``scores`` is ``[batch, 1, labels]``; ``gold`` and ``mask`` are
    ``[batch, 1]``.
    """

    def __init__(self, labels: Sequence[str], *, num_spans: int, hidden_size: int) -> None:
        super().__init__()
        self.normalise = nn.LayerNorm(num_spans * hidden_size)
        self.dropout = nn.Dropout(DROPOUT)
        self.project = nn.Linear(num_spans * hidden_size, len(labels))

    def forward(self, states: Tensor, markers: Tensor) -> Tensor:
        """Compute float32 scores ``[batch, 1, labels]``.

        Args:
            states: Encoder states ``[batch, pieces, hidden]``.
            markers: Positions of the markers ``[batch, 2 spans]``: the opening and the closing one of each span.
        """
        spans = _states_at(states, markers[:, ::2]).flatten(1).to(self.normalise.weight.dtype)
        scores: Tensor = self.project(self.dropout(self.normalise(spans)))
        return scores.float().unsqueeze(1)

    def nll(self, scores: Tensor, gold: Tensor, mask: Tensor) -> Tensor:
        """Compute the negative log-likelihood of each gold label, ``[batch]``."""
        return nn.functional.cross_entropy(scores.squeeze(1), gold.squeeze(1), reduction="none")

    def log_probabilities(self, scores: Tensor, mask: Tensor) -> Tensor:
        """Compute the log-probabilities of the labels."""
        return scores.log_softmax(-1)

    def path_divergence(self, target: Tensor, student: Tensor, mask: Tensor, *, detach: bool) -> Tensor:
        """Compute KL(target ‖ student) of the label, ``[batch]``; with ``detach``, no gradient reaches the target."""
        log_p, log_q = (target.detach() if detach else target).log_softmax(-1), student.log_softmax(-1)
        return (log_p.exp() * (log_p - log_q)).sum((1, 2))


Head = TaggingHead | MarkedSpanHead


def _states_at(states: Tensor, positions: Tensor) -> Tensor:
    """Select ``[batch, positions, hidden]`` from ``states [batch, pieces, hidden]``."""
    return torch.gather(states, 1, positions.unsqueeze(-1).expand(-1, -1, states.shape[-1]))
