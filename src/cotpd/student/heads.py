"""What stands on the encoder's states: a CRF over the tags of words, or a classifier of marked pairs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cotpd.core.labels import LabelSet
from cotpd.student.crf.linear_chain import LinearChainCRF


class TaggingHead(nn.Module):
    """Emissions of every word's tags from the state of its first piece, and the CRF that joins them.

    Scores, gold and mask below are ``[batch, words, tags]``, ``[batch, words]`` and ``[batch, words]``.
    """

    def __init__(self, label_set: LabelSet, *, hidden_size: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(hidden_size, len(label_set.tags))
        self.crf = LinearChainCRF(label_set.allowed_transitions())

    def forward(self, states: Tensor, first_pieces: Tensor) -> Tensor:
        """Emissions ``[batch, words, tags]``, float32, of ``states [batch, pieces, hidden]``."""
        emissions: Tensor = self.project(self.dropout(_states_at(states, first_pieces)))
        return emissions.float()

    def nll(self, scores: Tensor, gold: Tensor, mask: Tensor) -> Tensor:
        """−log p of the gold tags as a whole, ``[batch]``."""
        return self.crf.nll(scores, gold, mask)

    def log_probabilities(self, scores: Tensor, mask: Tensor) -> Tensor:
        """The log-marginals of each word's tags."""
        return self.crf.log_marginals(scores, mask)

    def path_divergence(self, target: Tensor, student: Tensor, mask: Tensor, *, detach: bool) -> Tensor:
        """KL(target ‖ student) over whole paths, ``[batch]``; ``detach`` holds the target fixed, with its chain."""
        return self.crf.kl_detached(target, student, mask) if detach else self.crf.kl(target, student, mask)


class RelationHead(nn.Module):
    """The label of a marked pair from the states of the markers that open its head and its tail.

    Entity markers and their start states as in Soares et al. 2019 (MTB): concatenate, normalise, project. Scores,
    gold and mask are ``[batch, 1, labels]``, ``[batch, 1]`` and ``[batch, 1]``: a pair is one decision.
    """

    def __init__(self, labels: Sequence[str], *, hidden_size: int, dropout: float) -> None:
        super().__init__()
        self.normalise = nn.LayerNorm(2 * hidden_size)
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(2 * hidden_size, len(labels))

    def forward(self, states: Tensor, markers: Tensor) -> Tensor:
        """Scores ``[batch, 1, labels]``, float32; ``markers [batch, 4]``: head opens, closes, tail opens, closes."""
        pair = _states_at(states, markers[:, ::2]).flatten(1).to(self.normalise.weight.dtype)
        scores: Tensor = self.project(self.dropout(self.normalise(pair)))
        return scores.float().unsqueeze(1)

    def nll(self, scores: Tensor, gold: Tensor, mask: Tensor) -> Tensor:
        """−log p of the gold label, ``[batch]``."""
        return nn.functional.cross_entropy(scores.squeeze(1), gold.squeeze(1), reduction="none")

    def log_probabilities(self, scores: Tensor, mask: Tensor) -> Tensor:
        """The log-softmax of the labels."""
        return scores.log_softmax(-1)

    def path_divergence(self, target: Tensor, student: Tensor, mask: Tensor, *, detach: bool) -> Tensor:
        """KL(target ‖ student) of the one decision, ``[batch]``; ``detach`` holds the target fixed."""
        log_p, log_q = (target.detach() if detach else target).log_softmax(-1), student.log_softmax(-1)
        return (log_p.exp() * (log_p - log_q)).sum((1, 2))


Head = TaggingHead | RelationHead


def _states_at(states: Tensor, places: Tensor) -> Tensor:
    """States ``[batch, places, hidden]`` of ``states [batch, pieces, hidden]`` at ``places [batch, places]``."""
    return torch.gather(states, 1, places.unsqueeze(-1).expand(-1, -1, states.shape[-1]))
