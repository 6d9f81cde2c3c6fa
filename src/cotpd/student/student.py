"""The student: one encoder and one head for all three views, and the generator that makes one of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from cotpd.core.config import PromptConfig, StudentConfig, ViewConfig
from cotpd.core.errors import UsageError
from cotpd.core.labels import LabelSet
from cotpd.core.splitting import Rule
from cotpd.student.crf import LinearChainCRF
from cotpd.student.encoder import TextEncoder
from cotpd.student.heads import TaggingHead
from cotpd.student.prompt_generator import ConditionalPromptGenerator
from cotpd.views.batch import Batch
from cotpd.views.pieces import Pieces
from cotpd.views.view import ViewKind, ViewReader


class Design(NamedTuple):
    """All that decides a student's shape and how it reads; with the weights it is the whole model."""

    label_set: LabelSet
    student: StudentConfig
    prompt: PromptConfig | None
    views: ViewConfig
    ships: ViewKind
    splitting: Rule


class Student(nn.Module):
    """The network of arXiv 2306.14122: two views of a post through the same encoder and the same head.

        text, knowledge   ids ─ embed ─────────────────────────▶ encoder ─▶ head ─▶ emissions ─▶ CRF
        prompt            ids ─ embed ─ generator ─▶ prompts ──▶    ″

    Prompts stand behind the text's closing piece, where the knowledge-enhanced view has its knowledge, so a word
    has the same position in every view. ``design.ships`` names the view that is used when none is asked for.
    """

    def __init__(self, encoder: TextEncoder, tokenizer: Tokenizer, design: Design) -> None:
        super().__init__()
        self.design = design
        self.encoder = encoder
        encoder.embeddings.weight.requires_grad_(not design.student.freeze_embeddings)
        self.generator = _generator(encoder, design.prompt) if design.prompt else None
        self.head = TaggingHead(design.label_set, hidden_size=encoder.hidden_size, dropout=design.student.dropout)
        room = design.prompt.length if design.prompt else 0
        self.reader = ViewReader(Pieces(tokenizer), design.views, encoder.max_pieces - room)

    @property
    def label_set(self) -> LabelSet:
        """The entity types and tags."""
        return self.design.label_set

    @property
    def crf(self) -> LinearChainCRF:
        """The chain over the tags."""
        return self.head.crf

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.crf.transitions.device

    def forward(self, batch: Batch) -> Tensor:
        """Emissions ``[batch, words, tags]``, float32, of a batch of views of one kind."""
        ids, mask = self.tensor(batch.ids), self.tensor(batch.mask)
        embeddings = self.encoder.embed(ids)
        if batch.kind is ViewKind.PROMPT:
            embeddings, mask = self._with_prompts(embeddings, mask)
        emissions: Tensor = self.head(self.encoder(embeddings, mask), self.tensor(batch.first_pieces))
        return emissions

    def tensor(self, array: np.ndarray) -> Tensor:
        """An array on the student's device."""
        return torch.from_numpy(array).to(self.device, non_blocking=True)

    def _with_prompts(self, embeddings: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Put each post's prompts right behind its last piece: ``[batch, pieces + prompt, embedding]`` and its mask."""
        if self.generator is None:
            raise UsageError("this student was trained without prompts; use the text or the knowledge view")
        memory = self.encoder(embeddings, mask) if self.generator.looks_at == "states" else embeddings
        prompts = self.generator(memory, mask).to(embeddings.dtype)
        num_posts, num_pieces = mask.shape
        lengths, room = mask.sum(1, keepdim=True), torch.arange(prompts.shape[1], device=mask.device)
        longer = torch.cat([embeddings, torch.zeros_like(prompts)], dim=1)
        places = (lengths + room).unsqueeze(-1).expand(-1, -1, embeddings.shape[-1])
        joined = longer.scatter(1, places, prompts)
        positions = torch.arange(num_pieces + prompts.shape[1], device=mask.device)
        return joined, positions.expand(num_posts, -1) < lengths + prompts.shape[1]


def _generator(encoder: TextEncoder, config: PromptConfig) -> ConditionalPromptGenerator:
    return ConditionalPromptGenerator(
        config,
        hidden_size=encoder.hidden_size,
        embedding_size=encoder.embedding_size,
        scale=float(encoder.embeddings.weight.detach().std()),
    )
