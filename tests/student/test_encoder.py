"""Every kind of encoder reads embeddings as it reads ids, and says clearly what it cannot load."""

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
def test_embeddings_give_the_states_that_ids_give(kind: str) -> None:
    """Prompts stand beside embedded pieces: an encoder that counts positions otherwise there errs in silence."""
    model = tiny(kind)
    ids = torch.randint(4, 50, (2, 9))
    mask = torch.ones(2, 9, dtype=torch.bool)
    mask[1, 6:] = False
    ids[1, 6:] = 1
    with torch.inference_mode():
        expected = model(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        encoder = TextEncoder(model)
        found = encoder(encoder.embed(ids), mask)
    torch.testing.assert_close(found[mask], expected[mask])


@pytest.mark.parametrize("kind", KINDS)
def test_the_longest_input_runs(kind: str) -> None:
    """A limit one too high fails with an index error on the first long post."""
    encoder = TextEncoder(tiny(kind))
    ids = torch.randint(4, 50, (1, encoder.max_pieces))
    with torch.inference_mode():
        assert encoder(encoder.embed(ids), torch.ones_like(ids, dtype=torch.bool)).shape == (1, encoder.max_pieces, 16)


@pytest.mark.parametrize("kind", KINDS)
def test_a_shape_is_rebuilt_from_its_config(kind: str) -> None:
    encoder = TextEncoder(tiny(kind))
    rebuilt = TextEncoder.from_config(encoder.config.to_dict())
    assert {n: w.shape for n, w in rebuilt.state_dict().items()} == {
        n: w.shape for n, w in encoder.state_dict().items()
    }


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_layers_alone_give_the_states_between(kind: str, tiny_encoder: Path, tmp_path: Path) -> None:
    model = tiny(kind)
    model.save_pretrained(tmp_path)
    for file in tiny_encoder.glob("token*.json"):
        shutil.copy(file, tmp_path)
    ids, mask = torch.randint(4, 50, (2, 9)), torch.ones(2, 9, dtype=torch.bool)
    encoder, _ = TextEncoder.from_pretrained(str(tmp_path), layers=1)
    with torch.inference_mode():
        between = model(input_ids=ids, attention_mask=mask.long(), output_hidden_states=True).hidden_states[1]
        final = {"modernbert": "final_norm", "roberta-prelayernorm": "LayerNorm"}.get(kind)
        expected = getattr(model, final)(between) if final else between
        torch.testing.assert_close(encoder.eval()(encoder.embed(ids), mask), expected)
    rebuilt = TextEncoder.from_config(encoder.config.to_dict())
    rebuilt.load_state_dict(encoder.state_dict())


def test_more_layers_than_there_are_is_refused(tiny_encoder: Path) -> None:
    with pytest.raises(UsageError, match=r"has 2 layers; lower student\.layers"):
        TextEncoder.from_pretrained(str(tiny_encoder), layers=3)


def test_every_weight_takes_part(tiny_encoder: Path) -> None:
    """A pooler left in place has weights without gradient, which stops distributed training."""
    encoder, _ = TextEncoder.from_pretrained(str(tiny_encoder))
    ids = torch.randint(0, 10, (2, 5))
    encoder(encoder.embed(ids), torch.ones_like(ids, dtype=torch.bool)).sum().backward()
    assert [name for name, weight in encoder.named_parameters() if weight.grad is None] == []


def test_a_directory_without_an_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"config\.json is missing"):
        TextEncoder.from_pretrained(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UsageError, match="cannot be loaded"):
        TextEncoder.from_pretrained(str(tmp_path))


def test_damaged_weights_are_refused(tiny_encoder: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_encoder, tmp_path / "damaged")
    (tmp_path / "damaged" / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(UsageError, match="cannot be loaded"):
        TextEncoder.from_pretrained(str(tmp_path / "damaged"))


def test_an_encoder_with_a_decoder_is_refused(tiny_encoder: Path, tmp_path: Path) -> None:
    """It would ask for what the decoder reads in the middle of training."""
    config = T5Config(d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2, vocab_size=99)
    T5Model(config).save_pretrained(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny_encoder / name, tmp_path)
    with pytest.raises(UsageError, match="an encoder and a decoder"):
        TextEncoder.from_pretrained(str(tmp_path))


def test_an_encoder_without_vocabulary_is_refused(tiny_encoder: Path, tmp_path: Path) -> None:
    """transformers makes up an empty one, under which every word is unknown."""
    for name in ("config.json", "model.safetensors"):
        shutil.copy(tiny_encoder / name, tmp_path)
    with pytest.raises(UsageError, match="no vocabulary"):
        TextEncoder.from_pretrained(str(tmp_path))


def test_a_directory_goes_before_a_hub_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "corpus").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"config\.json is missing"):
        TextEncoder.from_pretrained("corpus")


def test_a_pickle_is_not_loaded(tiny_encoder: Path, tmp_path: Path) -> None:
    for file in tiny_encoder.iterdir():
        if file.suffix == ".json":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    torch.save({"a": torch.zeros(1)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(UsageError, match="safetensors"):
        TextEncoder.from_pretrained(str(tmp_path))


def test_a_hub_name_is_fetched_once_with_its_revision(tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, Any]] = []

    def snapshot_download(name: str, *, revision: str, allow_patterns: list[str]) -> str:
        asked.append((name, revision))
        assert not any(fnmatch("pytorch_model.bin", pattern) for pattern in allow_patterns)
        return str(tiny_encoder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    TextEncoder.from_pretrained("someone/encoder", revision="v1")
    assert asked == [("someone/encoder", "v1")]


@pytest.mark.parametrize("name", ["nobody/nothing", "not a name"])
def test_a_hub_that_cannot_be_reached_is_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(MissingExtraError, match=f"{name}: neither a directory nor") as caught:
        TextEncoder.from_pretrained(name)
    assert "\n" not in str(caught.value)
