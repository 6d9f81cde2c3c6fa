"""The student: one encoder and one head for all three views, and the generator of the soft prompts."""

from __future__ import annotations

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from cotpd.core.errors import UsageError
from cotpd.core.labels import LabelSet
from cotpd.core.tasks import ANNOTATIONS
from cotpd.student.crf.linear_chain import LinearChainCRF
from cotpd.student.design import Design, PromptDesign
from cotpd.student.encoder import TextEncoder
from cotpd.student.heads import TaggingHead
from cotpd.student.prompt_generator import ConditionalPromptGenerator
from cotpd.student.tasks import OUTPUTS
from cotpd.views.batch import Batch
from cotpd.views.pieces import Pieces
from cotpd.views.view import ViewKind, ViewReader


class Student(nn.Module):
    """The network of arXiv 2306.14122, which reads every view with the same encoder and the same head.

        text, knowledge   ids ─ embed ─────────────────────────▶ encoder ─▶ head ─▶ scores
        prompt            ids ─ embed ─ generator ─▶ prompts ──▶    ″

    The prompt vectors follow the text, as the knowledge does in the knowledge-enhanced view. A word therefore has the
    same position in every view. ``design.deployed_view`` names the view that inference uses.
    """

    def __init__(self, encoder: TextEncoder, tokenizer: Tokenizer, design: Design) -> None:
        super().__init__()
        self.design = design
        self.encoder = encoder
        self.generator = _generator(encoder, design.prompt) if design.prompt else None
        self.markers = _marker_vectors(encoder, len(ANNOTATIONS[design.task].markers))
        self.head = OUTPUTS[design.task].build_head(design, encoder.hidden_size)
        self.reader = ViewReader(Pieces(tokenizer), design.views, _max_pieces(encoder, design.prompt))

    @property
    def label_set(self) -> LabelSet:
        """The entity types and their tags."""
        return self.design.label_set

    @property
    def crf(self) -> LinearChainCRF:
        """The CRF over the tags of words, for entities.

        Raises:
            UsageError: If the student was trained on another task.
        """
        if not isinstance(self.head, TaggingHead):
            raise UsageError(
                f"this student was trained on {self.design.task} and has no CRF; use a student trained on entities"
            )
        return self.head.crf

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.head.project.weight.device

    def forward(self, batch: Batch) -> Tensor:
        """Compute float32 scores ``[batch, decisions, labels]`` of a batch of views.

        A decision is the tag of a word, ``[batch, words, tags]``, or the label of marked spans, ``[batch, 1, labels]``.
        """
        ids, mask = self.tensor(batch.ids), self.tensor(batch.mask)
        positions = self.tensor(batch.first_pieces if batch.markers is None else batch.markers)
        embeddings = self.encoder.embed(ids)
        if self.markers is not None:
            index = positions.unsqueeze(-1).expand(-1, -1, embeddings.shape[-1])
            vectors = self.markers.to(embeddings.dtype).expand(len(ids), -1, -1)
            embeddings = embeddings.scatter(1, index, vectors)
        if batch.kind == ViewKind.PROMPT:
            embeddings, mask = self._with_prompts(embeddings, mask)
        scores: Tensor = self.head(self.encoder(embeddings, mask), positions)
        return scores

    def tensor(self, array: np.ndarray) -> Tensor:
        """Copy an array to the device of the student."""
        return torch.from_numpy(array).to(self.device, non_blocking=True)

    def _with_prompts(self, embeddings: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Insert prompt vectors after the last piece: ``[batch, pieces + prompt, embedding]`` and its mask."""
        if self.generator is None:
            raise UsageError("this student was trained without prompts; use its text or knowledge view")
        memory = self.encoder(embeddings, mask) if self.generator.source == "states" else embeddings
        prompts = self.generator(memory, mask).to(embeddings.dtype)
        num_examples, num_pieces = mask.shape
        lengths, offsets = mask.sum(1, keepdim=True), torch.arange(prompts.shape[1], device=mask.device)
        longer = torch.cat([embeddings, torch.zeros_like(prompts)], dim=1)
        index = (lengths + offsets).unsqueeze(-1).expand(-1, -1, embeddings.shape[-1])
        joined = longer.scatter(1, index, prompts)
        positions = torch.arange(num_pieces + prompts.shape[1], device=mask.device)
        return joined, positions.expand(num_examples, -1) < lengths + prompts.shape[1]


def _max_pieces(encoder: TextEncoder, prompt: PromptDesign | None) -> int:
    """Return the number of pieces that fit beside the prompt. Raises `UsageError` if the prompt takes over half."""
    if prompt and prompt.length > encoder.max_pieces // 2:
        raise UsageError(
            f"prompt.length must be at most half of the {encoder.max_pieces} pieces that the encoder accepts, "
            f"got {prompt.length}"
        )
    return encoder.max_pieces - (prompt.length if prompt else 0)


def _marker_vectors(encoder: TextEncoder, num_markers: int) -> nn.Parameter | None:
    """Return new embeddings of the markers, with the scale of word embeddings; None if nothing is marked."""
    if not num_markers:
        return None
    scale = encoder.embeddings.weight.detach().std()
    return nn.Parameter(torch.randn(num_markers, encoder.embedding_size) * scale)


def _generator(encoder: TextEncoder, design: PromptDesign) -> ConditionalPromptGenerator:
    return ConditionalPromptGenerator(
        design,
        hidden_size=encoder.hidden_size,
        embedding_size=encoder.embedding_size,
        scale=_scale(encoder.embeddings.weight.detach()),
    )


def _scale(embeddings: Tensor) -> float:
    """Return the standard deviation of the embeddings; 1 for a network without memory, of which only shapes count."""
    return 1.0 if embeddings.is_meta else float(embeddings.std())
