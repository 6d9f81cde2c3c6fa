"""Conditional prompt generator: a transformer decoder that computes soft prompts from the text."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, linear

from cotpd.core.errors import UsageError
from cotpd.student.design import PromptDesign


class ConditionalPromptGenerator(nn.Module):
    """Transformer decoder whose learned queries attend to the text (arXiv 2306.14122, conditional prompts).

        memory [batch, pieces, width] ─ project ─▶ keys, values
        queries [prompt, hidden] ─ decoder ─▶ [batch, prompt, hidden] ─ project ─▶ [batch, prompt, embedding]

    With ``source = "nothing"`` the queries attend to one constant vector: a control with as many parameters.

    Args:
        design: Length, depth and source of the prompts.
        hidden_size: Width of the encoder's states.
        embedding_size: Width of the encoder's word embeddings.
        scale: Standard deviation of the prompts at initialisation. Use that of the encoder's word embeddings.
    """

    def __init__(self, design: PromptDesign, *, hidden_size: int, embedding_size: int, scale: float) -> None:
        super().__init__()
        if hidden_size % design.heads:
            raise UsageError(
                f"prompt generator: the hidden size {hidden_size} is not divisible by {design.heads} heads"
            )
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
        """Compute prompts ``[batch, prompt, embedding]``.

        Args:
            memory: ``[batch, pieces, width]``: the encoder's states or word embeddings, as configured.
            mask: ``[batch, pieces]`` bool, True on real pieces.
        """
        if self.source == "nothing":
            memory, mask = torch.zeros_like(memory[:, :1]), torch.ones_like(mask[:, :1])
        memory = self.normalise_memory(self.project_memory(memory))
        first, *others = self.decoder.layers
        states = apply_first_layer(first, self.queries, memory, mask)
        for layer in others:
            states = layer(states, memory, memory_key_padding_mask=~mask)
        prompts: Tensor = self.project_prompt(self.normalise_prompt(states))
        return prompts


def apply_first_layer(layer: nn.TransformerDecoderLayer, queries: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
    """Compute ``layer(queries, memory)`` at a fraction of its cost, ``[batch, prompt, hidden]``.

    The queries of the first layer are the same for every example of the batch. Their self-attention is therefore
    computed once (and shares its dropout), and the key projection is folded into the queries: ``q · (K m)`` is
    ``(q K) · m``. The value projection is linear, so it is applied to the weighted means of the memory instead of to
    each piece.

    Args:
        layer: A pre-norm decoder layer.
        queries: ``[prompt, hidden]``.
        memory: ``[batch, pieces, hidden]``.
        mask: ``[batch, pieces]`` bool, True on real pieces.
    """
    attention = layer.multihead_attn
    states = queries + layer._sa_block(layer.norm1(queries)[None], None, None)[0]
    weights = attention.in_proj_weight.view(3, attention.num_heads, attention.head_dim, -1)
    bias = attention.in_proj_bias.view(3, attention.num_heads, attention.head_dim)
    projected = linear(layer.norm2(states), weights[0].flatten(0, 1), bias[0].flatten()).view(-1, *bias[0].shape)
    folded = torch.einsum("phd,hdw->phw", projected, weights[1]) * attention.head_dim**-0.5
    scores = torch.einsum("phw,bnw->bphn", folded, memory).masked_fill(~mask[:, None, None], -torch.inf)
    attention_weights = dropout(scores.softmax(-1), attention.dropout, layer.training)
    means = torch.einsum("bphn,bnw->bphw", attention_weights, memory)
    values = torch.einsum("bphw,hdw->bphd", means, weights[2]) + attention_weights.sum(-1, keepdim=True) * bias[2]
    states = states + layer.dropout2(attention.out_proj(values.flatten(2)))
    output: Tensor = states + layer._ff_block(layer.norm3(states))
    return output
