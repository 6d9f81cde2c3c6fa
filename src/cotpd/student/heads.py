"""What stands on the encoder's states: a linear layer and a CRF for the tags of words."""

from __future__ import annotations

from torch import Tensor, nn

from cotpd.core.labels import LabelSet
from cotpd.student.crf import LinearChainCRF


class TaggingHead(nn.Module):
    """Emissions of every word's tags from the state of its first piece, and the CRF that joins them."""

    def __init__(self, label_set: LabelSet, *, hidden_size: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(hidden_size, len(label_set.tags))
        self.crf = LinearChainCRF(label_set.allowed_transitions())

    def forward(self, states: Tensor, first_pieces: Tensor) -> Tensor:
        """Emissions ``[batch, words, tags]``, float32, of ``states [batch, pieces, hidden]``."""
        index = first_pieces.unsqueeze(-1).expand(-1, -1, states.shape[-1])
        emissions: Tensor = self.project(self.dropout(states.gather(1, index)))
        return emissions.float()
