"""The student: one encoder and one head for all three views, and the generator that makes one of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from cotpd.core.config import PromptConfig, StudentConfig, Task, ViewConfig
from cotpd.core.errors import UsageError
from cotpd.core.labels import LabelSet
from cotpd.core.records import NO_RELATION
from cotpd.core.splitting import Rule
from cotpd.student.crf.linear_chain import LinearChainCRF
from cotpd.student.encoder import TextEncoder
from cotpd.student.heads import Head, RelationHead, TaggingHead
from cotpd.student.prompt_generator import ConditionalPromptGenerator
from cotpd.views.batch import Batch
from cotpd.views.pieces import Pieces
from cotpd.views.view import ViewKind, ViewReader


class Design(NamedTuple):
    """All that decides a student's shape and how it reads; with the weights it is the whole model.

    ``relations`` are the labels of pairs, `NO_RELATION` first; they matter to the task of relations alone.
    """

    label_set: LabelSet
    student: StudentConfig
    prompt: PromptConfig | None
    views: ViewConfig
    ships: ViewKind
    splitting: Rule
    task: Task = "entities"
    relations: tuple[str, ...] = (NO_RELATION,)


class Student(nn.Module):
    """The network of arXiv 2306.14122: two views of a post through the same encoder and the same head.

        text, knowledge   ids ─ embed ─────────────────────────▶ encoder ─▶ head ─▶ scores
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
        self.markers = _markers(encoder) if design.task == "relations" else None
        self.head = _head(design, encoder.hidden_size)
        self.reader = ViewReader(Pieces(tokenizer), design.views, _room(encoder, design.prompt))

    @property
    def label_set(self) -> LabelSet:
        """The entity types and tags."""
        return self.design.label_set

    @property
    def crf(self) -> LinearChainCRF:
        """The chain over the tags. Raises `UsageError` where the student learnt relations."""
        if not isinstance(self.head, TaggingHead):
            raise UsageError("this student was trained on relations and finds no entities")
        return self.head.crf

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.head.project.weight.device

    def forward(self, batch: Batch) -> Tensor:
        """Scores, float32, of a batch of views of one kind.

        Emissions ``[batch, words, tags]``, or of pairs ``[batch, 1, labels]``.
        """
        ids, mask = self.tensor(batch.ids), self.tensor(batch.mask)
        places = self.tensor(batch.first_pieces if batch.markers is None else batch.markers)
        embeddings = self.encoder.embed(ids)
        if self.markers is not None:
            index = places.unsqueeze(-1).expand(-1, -1, embeddings.shape[-1])
            vectors = self.markers.to(embeddings.dtype).expand(len(ids), -1, -1)
            embeddings = embeddings.scatter(1, index, vectors)
        if batch.kind == ViewKind.PROMPT:
            embeddings, mask = self._with_prompts(embeddings, mask)
        scores: Tensor = self.head(self.encoder(embeddings, mask), places)
        return scores

    def tensor(self, array: np.ndarray) -> Tensor:
        """An array on the student's device."""
        return torch.from_numpy(array).to(self.device, non_blocking=True)

    def _with_prompts(self, embeddings: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Put each post's prompts right behind its last piece: ``[batch, pieces + prompt, embedding]`` and its mask."""
        if self.generator is None:
            raise UsageError("this student was trained without prompts; use the text or the knowledge view")
        memory = self.encoder(embeddings, mask) if self.generator.source == "states" else embeddings
        prompts = self.generator(memory, mask).to(embeddings.dtype)
        num_posts, num_pieces = mask.shape
        lengths, room = mask.sum(1, keepdim=True), torch.arange(prompts.shape[1], device=mask.device)
        longer = torch.cat([embeddings, torch.zeros_like(prompts)], dim=1)
        places = (lengths + room).unsqueeze(-1).expand(-1, -1, embeddings.shape[-1])
        joined = longer.scatter(1, places, prompts)
        positions = torch.arange(num_pieces + prompts.shape[1], device=mask.device)
        return joined, positions.expand(num_posts, -1) < lengths + prompts.shape[1]


def _room(encoder: TextEncoder, prompt: PromptConfig | None) -> int:
    """How many pieces fit into the encoder beside the prompts; at least half of it is left to the text."""
    if prompt and prompt.length > encoder.max_pieces // 2:
        raise UsageError(f"prompt.length = {prompt.length} is over half of the {encoder.max_pieces} the encoder takes")
    return encoder.max_pieces - (prompt.length if prompt else 0)


def _head(design: Design, hidden_size: int) -> Head:
    if design.task == "relations":
        return RelationHead(design.relations, hidden_size=hidden_size, dropout=0.1)
    return TaggingHead(design.label_set, hidden_size=hidden_size, dropout=0.1)


def _markers(encoder: TextEncoder) -> nn.Parameter:
    """Vectors of the pieces that open and close head and tail, of the size of word embeddings."""
    return nn.Parameter(torch.randn(4, encoder.embedding_size) * encoder.embeddings.weight.detach().std())


def _generator(encoder: TextEncoder, config: PromptConfig) -> ConditionalPromptGenerator:
    return ConditionalPromptGenerator(
        config,
        hidden_size=encoder.hidden_size,
        embedding_size=encoder.embedding_size,
        scale=float(encoder.embeddings.weight.detach().std()),
    )
