"""The conditional prompt generator: soft prompts that a transformer decoder makes of the text alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cotpd.core.config import PromptConfig
from cotpd.core.errors import UsageError


class ConditionalPromptGenerator(nn.Module):
    """Learned queries attend to the text and give prompt vectors (arXiv 2306.14122, conditional prompts).

        memory [batch, pieces, width] ─ project ─▶ keys, values
        queries [prompt, hidden] ─ decoder ─▶ [batch, prompt, hidden] ─ project ─▶ [batch, prompt, embedding]

    Prompts begin at the size of the encoder's word embeddings (``scale``), where the encoder is used to input.
    With ``looks_at = "nothing"`` the queries see one constant vector: a control of the same size.
    """

    def __init__(self, config: PromptConfig, *, hidden_size: int, embedding_size: int, scale: float) -> None:
        super().__init__()
        if hidden_size % config.heads:
            raise UsageError(f"prompt.heads = {config.heads} does not divide the encoder's hidden size {hidden_size}")
        width = hidden_size if config.looks_at == "states" else embedding_size
        self.looks_at = config.looks_at
        self.queries = nn.Parameter(torch.randn(config.length, hidden_size) * 0.5)
        self.project_memory = nn.Linear(width, hidden_size)
        self.normalise_memory = nn.LayerNorm(hidden_size)
        layer = nn.TransformerDecoderLayer(
            hidden_size,
            config.heads,
            4 * hidden_size,
            dropout=0.1,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.decoder = nn.TransformerDecoder(layer, config.layers, norm=nn.LayerNorm(hidden_size))
        self.project_prompt = nn.Linear(hidden_size, embedding_size)
        nn.init.normal_(self.project_prompt.weight, std=scale * hidden_size**-0.5)
        nn.init.zeros_(self.project_prompt.bias)

    def forward(self, memory: Tensor, mask: Tensor) -> Tensor:
        """Prompts ``[batch, prompt, embedding]`` of ``memory [batch, pieces, width]``, real where ``mask`` is true."""
        if self.looks_at == "nothing":
            memory, mask = torch.zeros_like(memory[:, :1]), torch.ones_like(mask[:, :1])
        memory = self.normalise_memory(self.project_memory(memory))
        queries = self.queries.expand(memory.shape[0], -1, -1)
        prompts: Tensor = self.project_prompt(self.decoder(queries, memory, memory_key_padding_mask=~mask))
        return prompts
