"""The conditional prompt generator: soft prompts that a transformer decoder makes of the text alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, linear

from cotpd.core.errors import UsageError
from cotpd.student.design import PromptDesign


class ConditionalPromptGenerator(nn.Module):
    """Learned queries attend to the text and give prompt vectors (arXiv 2306.14122, conditional prompts).

        memory [batch, pieces, width] ─ project ─▶ keys, values
        queries [prompt, hidden] ─ decoder ─▶ [batch, prompt, hidden] ─ project ─▶ [batch, prompt, embedding]

    Prompts begin at the size of the encoder's word embeddings (``scale``), where the encoder is used to input.
    With ``source = "nothing"`` the queries see one constant vector: a control of the same size.
    """

    def __init__(self, design: PromptDesign, *, hidden_size: int, embedding_size: int, scale: float) -> None:
        super().__init__()
        if hidden_size % design.heads:
            raise UsageError(f"a prompt generator of {hidden_size} hidden units cannot have {design.heads} heads")
        width = hidden_size if design.source == "states" else embedding_size
        self.source = design.source
        self.queries = nn.Parameter(torch.randn(design.length, hidden_size) * 0.5)
        self.project_memory = nn.Identity() if width == hidden_size else nn.Linear(width, hidden_size)
        self.normalise_memory = nn.LayerNorm(hidden_size)
        layer = nn.TransformerDecoderLayer(
            hidden_size,
            design.heads,
            4 * hidden_size,
            dropout=0.1,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.decoder = nn.TransformerDecoder(layer, design.layers)
        self.normalise_prompt = nn.LayerNorm(hidden_size)
        self.project_prompt = nn.Linear(hidden_size, embedding_size)
        nn.init.normal_(self.project_prompt.weight, std=scale * hidden_size**-0.5)
        nn.init.zeros_(self.project_prompt.bias)

    def forward(self, memory: Tensor, mask: Tensor) -> Tensor:
        """Prompts ``[batch, prompt, embedding]`` of ``memory [batch, pieces, width]``, real where ``mask`` is true."""
        if self.source == "nothing":
            memory, mask = torch.zeros_like(memory[:, :1]), torch.ones_like(mask[:, :1])
        memory = self.normalise_memory(self.project_memory(memory))
        first, *others = self.decoder.layers
        states = first_layer(first, self.queries, memory, mask)
        for layer in others:
            states = layer(states, memory, memory_key_padding_mask=~mask)
        prompts: Tensor = self.project_prompt(self.normalise_prompt(states))
        return prompts


def first_layer(layer: nn.TransformerDecoderLayer, queries: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
    """``layer(queries of each post, memory)``, ``[batch, prompt, hidden]``, at a fraction of its cost.

    In the first layer the queries are the same for every post, so their self-attention is computed once, and so is
    the key projection: a score ``q · (K m)`` is ``(q K) · m``. The value projection is linear, and applied to the
    weighted means of the memory rather than to each piece. ``queries [prompt, hidden]``, ``memory [batch, pieces,
    hidden]``; dropout of the self-attention is shared by the batch.
    """
    attention = layer.multihead_attn
    states = queries + layer._sa_block(layer.norm1(queries)[None], None, None)[0]
    weights = attention.in_proj_weight.view(3, attention.num_heads, attention.head_dim, -1)
    bias = attention.in_proj_bias.view(3, attention.num_heads, attention.head_dim)
    asked = linear(layer.norm2(states), weights[0].flatten(0, 1), bias[0].flatten()).view(-1, *bias[0].shape)
    folded = torch.einsum("phd,hdw->phw", asked, weights[1]) * attention.head_dim**-0.5
    scores = torch.einsum("phw,bnw->bphn", folded, memory).masked_fill(~mask[:, None, None], -torch.inf)
    shares = dropout(scores.softmax(-1), attention.dropout, layer.training)
    means = torch.einsum("bphn,bnw->bphw", shares, memory)
    values = torch.einsum("bphw,hdw->bphd", means, weights[2]) + shares.sum(-1, keepdim=True) * bias[2]
    states = states + layer.dropout2(attention.out_proj(values.flatten(2)))
    found: Tensor = states + layer._ff_block(layer.norm3(states))
    return found
