"""Every supported encoder type works from embeddings, and encoders that cannot be used are rejected."""

import shutil
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModel, PreTrainedModel, T5Config, T5Model

from cotpd.core.errors import MissingExtraError, UsageError
from cotpd.student.encoder import TextEncoder

SMALL = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 40,
    "pad_token_id": 1,
}
DISENTANGLED = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_biased_input": False}
KINDS: dict[str, dict[str, Any]] = {
    "bert": {},
    "roberta": {},
    "roberta-prelayernorm": {},
    "xlm-roberta": {},
    "mpnet": {},
    "electra": {"embedding_size": 8},
    "albert": {"embedding_size": 8},
    "deberta": DISENTANGLED,
    "deberta-v2": {**DISENTANGLED, "embedding_size": 8, "position_buckets": 8, "share_att_key": True},
    "distilbert": {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32},
    "data2vec-text": {},
    "modernbert": {"cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3},
}


def tiny(kind: str) -> PreTrainedModel:
    torch.manual_seed(1)
    return AutoModel.from_config(AutoConfig.for_model(kind, **SMALL, **KINDS[kind])).eval()


@pytest.mark.parametrize("kind", KINDS)
def test_encoder_reads_embeddings_up_to_its_limit_and_can_be_rebuilt(kind: str) -> None:
    model = tiny(kind)
    ids = torch.randint(4, 50, (2, 9))
    mask = torch.ones(2, 9, dtype=torch.bool)
    mask[1, 6:] = False
    ids[1, 6:] = 1
    with torch.inference_mode():
        expected = model(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        encoder = TextEncoder(model)
        states = encoder(encoder.embed(ids), mask)
        longest = torch.randint(4, 50, (1, encoder.max_pieces))
        longest_states = encoder(encoder.embed(longest), torch.ones_like(longest, dtype=torch.bool))
    torch.testing.assert_close(states[mask], expected[mask], msg="embeddings and ids give different states")
    assert longest_states.shape == (1, encoder.max_pieces, 16)
    rebuilt = TextEncoder.from_config(encoder.config.to_dict())
    assert shapes(rebuilt) == shapes(encoder)


def shapes(encoder: TextEncoder) -> dict[str, torch.Size]:
    return {name: weight.shape for name, weight in encoder.state_dict().items()}


@pytest.mark.parametrize("kind", KINDS)
def test_truncated_encoder_returns_the_intermediate_states(kind: str, tiny_encoder: Path, tmp_path: Path) -> None:
    model = tiny(kind)
    model.save_pretrained(tmp_path)
    for file in tiny_encoder.glob("token*.json"):
        shutil.copy(file, tmp_path)
    ids, mask = torch.randint(4, 50, (2, 9)), torch.ones(2, 9, dtype=torch.bool)
    encoder, _ = TextEncoder.from_pretrained(str(tmp_path), layers=1)
    with torch.inference_mode():
        intermediate = model(input_ids=ids, attention_mask=mask.long(), output_hidden_states=True).hidden_states[1]
        final = {"modernbert": "final_norm", "roberta-prelayernorm": "LayerNorm"}.get(kind)
        expected = getattr(model, final)(intermediate) if final else intermediate
        torch.testing.assert_close(encoder.eval()(encoder.embed(ids), mask), expected)
    rebuilt = TextEncoder.from_config(encoder.config.to_dict())
    rebuilt.load_state_dict(encoder.state_dict())


def test_too_many_layers_are_rejected(tiny_encoder: Path) -> None:
    with pytest.raises(UsageError, match=r"has 2 layers; student\.layers must be at most that, got 3"):
        TextEncoder.from_pretrained(str(tiny_encoder), layers=3)


def test_every_weight_gets_a_gradient(tiny_encoder: Path) -> None:
    """The weights of an unused pooler would have none, which stops distributed training."""
    encoder, _ = TextEncoder.from_pretrained(str(tiny_encoder))
    ids = torch.randint(0, 10, (2, 5))
    encoder(encoder.embed(ids), torch.ones_like(ids, dtype=torch.bool)).sum().backward()
    assert [name for name, weight in encoder.named_parameters() if weight.grad is None] == []


def test_directory_without_an_encoder_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"config\.json is missing"):
        TextEncoder.from_pretrained(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UsageError, match="cannot load an encoder"):
        TextEncoder.from_pretrained(str(tmp_path))


def test_damaged_weights_are_rejected(tiny_encoder: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_encoder, tmp_path / "damaged")
    (tmp_path / "damaged" / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(UsageError, match="cannot load an encoder"):
        TextEncoder.from_pretrained(str(tmp_path / "damaged"))


def test_encoder_decoder_is_rejected(tiny_encoder: Path, tmp_path: Path) -> None:
    config = T5Config(d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2, vocab_size=99)
    T5Model(config).save_pretrained(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny_encoder / name, tmp_path)
    with pytest.raises(UsageError, match="expected an encoder, got an encoder-decoder model"):
        TextEncoder.from_pretrained(str(tmp_path))


def test_encoder_without_vocabulary_is_rejected(tiny_encoder: Path, tmp_path: Path) -> None:
    """transformers would create an empty vocabulary, in which every word is unknown."""
    for name in ("config.json", "model.safetensors"):
        shutil.copy(tiny_encoder / name, tmp_path)
    with pytest.raises(UsageError, match="the tokenizer has no vocabulary"):
        TextEncoder.from_pretrained(str(tmp_path))


def test_directory_takes_precedence_over_hub_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "corpus").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"config\.json is missing"):
        TextEncoder.from_pretrained("corpus")


def test_pickled_weights_are_not_loaded(tiny_encoder: Path, tmp_path: Path) -> None:
    for file in tiny_encoder.iterdir():
        if file.suffix == ".json":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    torch.save({"a": torch.zeros(1)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(UsageError, match="safetensors"):
        TextEncoder.from_pretrained(str(tmp_path))


def test_hub_name_is_fetched_once_with_its_revision_and_without_pickles(
    tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[tuple[str, Any]] = []

    def snapshot_download(name: str, *, revision: str, allow_patterns: list[str]) -> str:
        fetched.append((name, revision))
        assert not any(fnmatch("pytorch_model.bin", pattern) for pattern in allow_patterns)
        return str(tiny_encoder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    TextEncoder.from_pretrained("someone/encoder", revision="v1")
    assert fetched == [("someone/encoder", "v1")]


@pytest.mark.parametrize("name", ["nobody/nothing", "not a name"])
def test_unavailable_hub_is_a_one_line_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        MissingExtraError, match=f"{name}: not a directory, and not available from the Hugging Face hub"
    ) as caught:
        TextEncoder.from_pretrained(name)
    assert "\n" not in str(caught.value)
