"""Directories of models by others: they must hold data only, and nothing that is run or fetched when they are loaded.

The `transformers` library runs code that a model names (``auto_map``), downloads kernels (``_attn_implementation``) and
adapters' base models, and asks on stdin whether to do so. Such models are refused.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MAX_JSON_BYTES = 2**20
"""The largest config.json or other settings; that of BERT has 600 bytes."""
MAX_TOKENIZER_BYTES = 100 * 2**20
"""The largest tokenizer.json; that of XLM-R, with 250,000 pieces, has 9 MB."""
MAX_LAYERS = 1_000
"""The largest number of layers, or of anything else that is built one by one."""
MAX_INTEGER = 2**31

_CODE = ("auto_map", "custom_pipelines", "custom_generate", "trust_remote_code")
_FETCHED = (
    "quantization_config",
    "compression_config",
    "attn_implementation",
    "_attn_implementation",
    "_attn_implementation_internal",
    "experts_implementation",
    "_experts_implementation",
    "_experts_implementation_internal",
    "use_kernels",
    "kernel_config",
    "backbone",
    "backbone_config",
    "use_timm_backbone",
    "use_pretrained_backbone",
)
"""Settings that choose software beside transformers and torch, some of it downloaded."""
_HARMLESS = (None, False, "eager", "sdpa")
"""Values of these settings that choose nothing, or attention that torch brings."""
_LARGE_FILES = ("tokenizer.json", "vocab.json", "added_tokens.json", "model.safetensors.index.json")
_COUNTS = ("layer", "block", "group", "expert", "head")


class UnsafeModelError(ValueError):
    """Raised for a model that would run code, fetch files or exhaust the memory; the message says which setting."""


def read_settings(path: Path) -> dict[str, Any]:
    """Read a JSON object of settings.

    Raises:
        UnsafeModelError: If it is not a JSON object, too large or too deep.
        OSError: If the file cannot be read.
    """
    values = _read_json(path, MAX_JSON_BYTES)
    if not isinstance(values, dict):
        raise UnsafeModelError(f"{path.name}: expected a JSON object, got {type(values).__name__}")
    return values


def require_safe_directory(directory: Path) -> None:
    """Check every JSON file of a model directory before a library loads it.

    Raises:
        UnsafeModelError: If a file is too large or too deep, or holds what `require_safe_settings` refuses; if the
            directory is an adapter, whose base model would be fetched.
    """
    for path in sorted(directory.glob("*.json")):
        if path.name == "adapter_config.json":
            raise UnsafeModelError(f"{path.name}: an adapter of another model; merge it and save the whole model")
        is_large = path.name in _LARGE_FILES
        values = _read_json(path, MAX_TOKENIZER_BYTES if is_large else MAX_JSON_BYTES)
        if not is_large:
            _require_no_code(values, path.name)
    require_safe_settings(read_settings(directory / "config.json"), "config.json")


def require_safe_settings(values: Any, where: str) -> None:
    """Check the settings of a network.

    Raises:
        UnsafeModelError: For a setting, at any depth, that runs code, fetches something or builds too much.
    """
    _require_no_code(values, where)
    for key, value in _members(values):
        if isinstance(value, float) and not math.isfinite(value):
            raise UnsafeModelError(f"{where}: {key} must be a finite number, got {value}")
        is_count = key.startswith(("num_", "n_")) or key.endswith("_layers")
        limit = MAX_LAYERS if is_count and any(word in key for word in _COUNTS) else MAX_INTEGER
        if isinstance(value, int) and abs(value) > limit:
            raise UnsafeModelError(
                f"{where}: {key} must be at most {limit:,}, got a number of {len(str(value))} digits"
            )


def _require_no_code(values: Any, where: str) -> None:
    for key, value in _members(values):
        if key in _CODE and value not in (None, False, {}, []):
            raise UnsafeModelError(f"{where}: {key} names code of the model, which is never run; use another model")
        if key in _FETCHED and value not in _HARMLESS:
            shown = json.dumps(value)[:60]
            raise UnsafeModelError(f"{where}: {key} = {shown} is not supported; remove it or use another model")


def _members(values: Any) -> Iterator[tuple[str, Any]]:
    """Yield the keys and values of JSON objects at any depth."""
    pending = [values]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            yield from ((str(key), member) for key, member in value.items())
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)


def _read_json(path: Path, limit: int) -> Any:
    if not path.is_file():
        raise UnsafeModelError(f"{path.name}: not a file")
    with path.open("rb") as stream:
        content = stream.read(limit + 1)
    if len(content) > limit:
        raise UnsafeModelError(f"{path.name}: larger than {limit:,} bytes")
    try:
        return json.loads(content.decode("utf-8"))
    except RecursionError as error:
        raise UnsafeModelError(f"{path.name}: nested too deeply") from error
    except ValueError as error:
        raise UnsafeModelError(f"{path.name}: not JSON: {error}") from error
