"""Model directories of others: settings that run code, fetch files or exhaust the memory are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cotpd.core.guards import model_files
from cotpd.core.guards.model_files import UnsafeModelError, read_settings, require_safe_directory, require_safe_settings


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"auto_map": {"AutoConfig": "own.Own"}}, "auto_map names code"),
        ({"text_config": {"auto_map": ["a.B", None]}}, "auto_map names code"),
        ({"parts": [{"custom_pipelines": {"ner": "own.Own"}}]}, "custom_pipelines names code"),
        ({"_attn_implementation": "someone/kernel"}, '_attn_implementation = "someone/kernel" is not supported'),
        ({"attn_implementation": "flash_attention_2"}, "attn_implementation"),
        ({"_attn_implementation_internal": {"": "a/b:f"}}, "_attn_implementation_internal"),
        ({"vision_config": {"_experts_implementation": "a/b"}}, "_experts_implementation"),
        ({"quantization_config": {"quant_method": "bitsandbytes"}}, "quantization_config"),
        ({"use_kernels": True}, "use_kernels = true"),
        ({"backbone": "resnet50"}, "backbone"),
        ({"num_hidden_layers": 10**6}, "num_hidden_layers must be at most 1,000, got a number of 7 digits"),
        ({"encoder_layers": 1_001}, "encoder_layers"),
        ({"hidden_size": 10**12}, "hidden_size must be at most"),
        ({"layer_norm_eps": float("nan")}, "layer_norm_eps must be a finite number"),
    ],
)
def test_a_dangerous_setting_is_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UnsafeModelError, match=message):
        require_safe_settings(values, "config.json")


def test_settings_that_choose_nothing_are_accepted() -> None:
    """transformers itself writes some of them."""
    harmless = {"auto_map": None, "quantization_config": None, "_attn_implementation": "sdpa", "use_kernels": False}
    require_safe_settings({**harmless, "num_hidden_layers": 48, "vocab_size": 250_002}, "config.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": ' * 100_000, "nested too deeply"),
        (b'{"a": 1' + b" " * 2_000_000 + b"}", "larger than 1,048,576 bytes"),
        (b'{"a": ' + b"9" * 5_000 + b"}", "not JSON"),
        (b'{"a": "\xff"}', "not JSON"),
        (b"[]", "expected a JSON object, got list"),
    ],
)
def test_odd_settings_are_one_clear_error(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(UnsafeModelError, match=message):
        read_settings(path)


def test_every_json_file_of_a_directory_is_checked(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "tokenizer_config.json").write_text('{"model_max_length": 1000000000000000019884624838656}')
    require_safe_directory(tmp_path)
    for name, values in {
        "tokenizer_config.json": {"auto_map": {"AutoTokenizer": ["own.Own", None]}},
        "preprocessor_config.json": {"auto_map": {"AutoImageProcessor": "own.Own"}},
        "adapter_config.json": {"base_model_name_or_path": "someone/else"},
    }.items():
        (tmp_path / name).write_text(json.dumps(values))
        with pytest.raises(UnsafeModelError, match=name):
            require_safe_directory(tmp_path)
        (tmp_path / name).unlink()


def test_a_tokenizer_may_be_larger_than_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_files, "MAX_JSON_BYTES", 100)
    monkeypatch.setattr(model_files, "MAX_TOKENIZER_BYTES", 1_000)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": "x" * 500}))
    require_safe_directory(tmp_path)
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": "x" * 1_500}))
    with pytest.raises(UnsafeModelError, match=r"tokenizer\.json: larger than 1,000 bytes"):
        require_safe_directory(tmp_path)
