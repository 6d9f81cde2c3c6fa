"""Saving and loading a student, and the errors for directories without an intact student."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import ModelCard
from safetensors.torch import load_file, save_file

from cotpd.core.config import Task
from cotpd.core.errors import CheckpointError, UsageError
from cotpd.core.files import MANIFEST, hash_file
from cotpd.core.records import Example, Relation, Span
from cotpd.core.tasks import marked_spans
from cotpd.student import checkpoint
from cotpd.student.student import Student
from cotpd.views.batch import Batch
from cotpd.views.view import ViewKind


@pytest.fixture
def saved(make_student: Callable[..., Student], tmp_path: Path) -> Path:
    checkpoint.save(make_student(), tmp_path / "model", card="A card.\n")
    return tmp_path / "model"


def sign(directory: Path) -> None:
    """Make the manifest fit files that a test changed."""
    hashes = {file.name: hash_file(file) for file in directory.iterdir() if file.name != MANIFEST}
    (directory / MANIFEST).write_text(json.dumps(hashes))


def change_config(directory: Path, **values: Any) -> None:
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps(config | values))
    sign(directory)


def test_a_loaded_student_equals_the_saved_one(make_student: Callable[..., Student], saved: Path) -> None:
    student, loaded = make_student(), checkpoint.load(saved)
    assert loaded.design == student.design
    assert not loaded.training
    for name, weight in student.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], weight, rtol=0, atol=0)
    assert loaded.reader.pieces.of(["hi"]) == student.reader.pieces.of(["hi"])
    assert "A card." in (saved / "README.md").read_text()


def test_the_name_of_an_encoder_stays_one_value_of_the_model_card(
    make_student: Callable[..., Student], tmp_path: Path
) -> None:
    student = make_student()
    student.design = student.design._replace(encoder="mine: x\n---\nlicense: other")
    checkpoint.save(student, tmp_path / "model")
    card = ModelCard.load(tmp_path / "model" / "README.md")
    assert card.data.base_model == student.design.encoder
    assert card.data.library_name == "cotpd"
    assert "license" not in card.data.to_dict()


def test_loading_accepts_an_edited_or_missing_model_card(saved: Path) -> None:
    card = saved / "README.md"
    card.write_text(card.read_text() + "Trained on my own posts.\n")
    checkpoint.load(saved)
    card.unlink()
    checkpoint.load(saved)


def test_saving_never_overwrites_a_model(make_student: Callable[..., Student], saved: Path) -> None:
    with pytest.raises(UsageError, match="never overwritten"):
        checkpoint.save(make_student(), saved)


def test_only_safetensors_and_json_are_written(saved: Path) -> None:
    assert {file.suffix for file in saved.iterdir()} == {".json", ".safetensors", ".md"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model_type": "bert"}, "not a CoTPD model"),
        ({"format_version": 99}, "newer CoTPD"),
        ({"format_version": "new"}, "format_version must be a number, got 'new'"),
        ({"task": "parsing"}, "unknown task 'parsing'; expected entities, relations, sentiment"),
        ({"labels": ["PER"]}, "the labels give O, B-PER, I-PER"),
        ({"labels": ["PER", "ORG", "LOC"]}, "the labels give O, B-PER, I-PER, B-ORG, I-ORG, B-LOC, I-LOC"),
        ({"deployed_view": "picture"}, "picture"),
        ({"encoder_config": {"model_type": "nothing"}}, "a supported encoder"),
        ({"labels": ["", "LOC", "PER"]}, "O, B-, I-, B-LOC"),
        ({"labels": [""], "id2label": {"0": "O", "1": "B-", "2": "I-"}}, r"config\.json: DataError"),
        (
            {"labels": ["A"] * 2, "id2label": dict(zip("01234", ["O", "B-A", "I-A", "B-A", "I-A"], strict=True))},
            "the labels must differ",
        ),
        ({"prompt": {"heads": 7}}, r"config\.json: UsageError: prompt generator: .* 48 is not divisible by 7 heads"),
        ({"prompt": {"depth": 3}}, "depth"),
        ({"prompt": {"heads": 2, "length": 4}}, "do not fit"),
    ],
)
def test_an_inconsistent_config_is_a_checkpoint_error(saved: Path, values: dict[str, Any], message: str) -> None:
    change_config(saved, **values)
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load(saved)


@pytest.mark.parametrize("values", [{"hidden_size": -1}, {"hidden_size": "x"}, {"num_attention_heads": 0}])
def test_an_invalid_encoder_shape_is_a_checkpoint_error(saved: Path, values: dict[str, Any]) -> None:
    shape = json.loads((saved / "config.json").read_text())["encoder_config"]
    change_config(saved, encoder_config=shape | values)
    with pytest.raises(CheckpointError, match="a supported encoder"):
        checkpoint.load(saved)


@pytest.mark.parametrize("text", ['{"model": {"type": "Newer"}}', "{}", "oops"])
def test_an_unreadable_tokenizer_is_a_checkpoint_error(saved: Path, text: str) -> None:
    (saved / "tokenizer.json").write_text(text)
    sign(saved)
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: damaged, or saved by newer"):
        checkpoint.load(saved)


def test_a_flipped_byte_is_detected_before_loading(saved: Path) -> None:
    path = saved / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(CheckpointError, match=r"model\.safetensors changed"):
        checkpoint.load(saved)


def test_truncated_weights_are_a_checkpoint_error(saved: Path) -> None:
    path = saved / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    sign(saved)
    with pytest.raises(CheckpointError, match="not a complete safetensors file"):
        checkpoint.load(saved)


def test_weights_of_another_shape_are_a_checkpoint_error(saved: Path) -> None:
    weights = load_file(saved / "model.safetensors")
    weights["head.project.weight"] = torch.zeros(3, 3)
    save_file(weights, saved / "model.safetensors")
    sign(saved)
    with pytest.raises(CheckpointError, match="do not fit"):
        checkpoint.load(saved)


def test_a_pickle_is_rejected_by_its_first_bytes(saved: Path) -> None:
    """Loading a pickle can run code."""
    torch.save({"a": torch.zeros(1)}, saved / "model.safetensors")
    sign(saved)
    with pytest.raises(CheckpointError, match=r"model\.safetensors: a pickle, which can run code when loaded"):
        checkpoint.load(saved)


def change_weights(directory: Path, **changes: torch.Tensor | None) -> None:
    """Replace weights, or remove those that are None."""
    weights = load_file(directory / "model.safetensors") | changes
    kept = {name: weight for name, weight in weights.items() if weight is not None}
    save_file(kept, directory / "model.safetensors")
    sign(directory)


WEIGHT = "head.project.bias"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_refused(saved: Path, value: float) -> None:
    """Every prediction would be O, or meaningless, without any error."""
    weight = load_file(saved / "model.safetensors")[WEIGHT]
    weight[-1] = value
    change_weights(saved, **{WEIGHT: weight})
    with pytest.raises(CheckpointError, match=r"head\.project\.bias has values that are NaN or infinite"):
        checkpoint.load(saved)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int32])
def test_weights_of_another_type_are_refused(saved: Path, dtype: torch.dtype) -> None:
    change_weights(saved, **{WEIGHT: load_file(saved / "model.safetensors")[WEIGHT].to(dtype)})
    with pytest.raises(CheckpointError, match=r"do not fit config\.json: head\.project\.bias has the type .*float32"):
        checkpoint.load(saved)


def test_missing_and_surplus_weights_are_named(saved: Path) -> None:
    change_weights(saved, **{"head.second": torch.zeros(2)})
    with pytest.raises(CheckpointError, match=r"it has the unknown weight head\.second \(1 in all\)"):
        checkpoint.load(saved)
    change_weights(saved, **{"head.second": None, WEIGHT: None})
    with pytest.raises(CheckpointError, match=r"it lacks head\.project\.bias \(1 in all\)"):
        checkpoint.load(saved)


def change_encoder(directory: Path, **values: Any) -> None:
    encoder = json.loads((directory / "config.json").read_text())["encoder_config"]
    change_config(directory, encoder_config=encoder | values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model_type": "clip_text_model", "auto_map": {"AutoModel": "own.Own"}}, "auto_map names code"),
        ({"auto_map": {"AutoModel": "someone/repository--own.Own"}}, "auto_map names code"),
        ({"model_type": "clip_text_model"}, "'clip_text_model' is not that of a text encoder"),
        ({"_attn_implementation": "kernels-community/any"}, "_attn_implementation"),
        ({"attn_implementation": "someone/kernel:forward"}, "attn_implementation"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantization_config"),
        ({"hidden_act": "someone/activation"}, "hidden_act must hold numbers and words only"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers must be at most"),
        ({"hidden_act": "nothing"}, "a supported encoder"),
    ],
)
def test_an_encoder_that_runs_or_fetches_something_is_refused(
    saved: Path, values: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builtins.input", lambda _: pytest.fail("asks whether to run code of the model"))
    (saved / "own.py").write_text("raise SystemExit('code of the model ran')")
    change_encoder(saved, **values)
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load(saved)


@pytest.mark.parametrize("values", [{"vocab_size": 2 * 10**9}, {"intermediate_size": 2 * 10**9}])
def test_sizes_that_the_weights_do_not_have_need_no_memory(saved: Path, values: dict[str, Any]) -> None:
    change_encoder(saved, **values)
    with pytest.raises(CheckpointError, match=r"do not fit config\.json: .* has the shape"):
        checkpoint.load(saved)


def test_undeclared_settings_of_an_encoder_are_kept_only_if_they_are_plain(saved: Path) -> None:
    change_encoder(saved, position_buckets=8, _private="x", link="https://example.org", nested={"a": "b/c"})
    config = checkpoint.load(saved).encoder.config
    assert config.position_buckets == 8
    assert not any(hasattr(config, name) for name in ("_private", "link", "nested"))


def test_pieces_without_an_embedding_are_refused(saved: Path) -> None:
    """Otherwise the first text with such a piece fails."""
    tokenizer = json.loads((saved / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"]["zebra"] = 5_000
    (saved / "tokenizer.json").write_text(json.dumps(tokenizer))
    sign(saved)
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: piece 5000 is not among the \d+ embeddings"):
        checkpoint.load(saved)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "manifest.json"])
@pytest.mark.parametrize("content", [b'{"a":' * 50_000, b"\xff\xfe", b"9" * 5_000, b"null", b'{"labels": 1e999}'])
def test_odd_json_is_a_checkpoint_error(saved: Path, name: str, content: bytes) -> None:
    (saved / name).write_bytes(content)
    if name != "manifest.json":
        sign(saved)
    with pytest.raises(CheckpointError, match="model"):
        checkpoint.load(saved)


@pytest.mark.parametrize("name", ["../model/config.json", "/dev/zero", ".."])
def test_a_manifest_leads_to_no_file_elsewhere(saved: Path, name: str) -> None:
    """Hashing a device would never end."""
    (saved / MANIFEST).write_text(json.dumps({name: "0"}))
    with pytest.raises(CheckpointError, match="is not the name of a file"):
        checkpoint.load(saved)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"labels": [1, 2]}, "labels must be a list of strings"),
        ({"labels": "PER"}, "labels must be a list of strings"),
        ({"encoder_config": []}, "must be objects"),
        ({"prompt": [1]}, "must be objects"),
        ({"prompt": {"heads": 2, "length": 10**9}}, r"prompt\.length must be between 1 and 1,000"),
        ({"prompt": {"heads": 0}}, r"prompt\.heads must be between 1 and 1,000"),
        ({"task": ["entities"]}, "unknown task"),
        ({"splitting": {}}, "splitting|Rule"),
        ({"views": 5}, r"config\.json"),
        ({"scheme": "XYZ"}, r"config\.json"),
        ({"format_version": 1, "student": 3}, r"config\.json"),
        ({"format_version": -(10**30)}, r"config\.json"),
        ({"encoder": 5}, "encoder must be"),
    ],
)
def test_values_of_another_kind_are_a_checkpoint_error(saved: Path, values: dict[str, Any], message: str) -> None:
    change_config(saved, **values)
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load(saved)


def test_an_empty_or_missing_directory_is_a_checkpoint_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no model here"):
        checkpoint.load(tmp_path)


VERSION_1: dict[str, Any] = {
    "format_version": 1,
    "types": ["LOC", "ORG", "PER"],
    "relations": ["None", "/per/org/member_of", "/loc/loc/contain"],
    "ships": "prompt",
    "student": {
        "encoder": "tiny",
        "revision": None,
        "layers": None,
        "dropout": 0.2,
        "scheme": "BIO",
        "freeze_embeddings": False,
    },
    "prompt": {"length": 3, "layers": 1, "heads": 2, "looks_at": "states"},
}
"""The keys of config.json that CoTPD 0.1.0 wrote differently."""


@pytest.mark.parametrize("task", ["entities", "relations"])
def test_a_model_of_version_0_1_0_loads_and_predicts_the_same(
    make_student: Callable[..., Student], tmp_path: Path, task: Task
) -> None:
    student = make_student({"source": "states"}, task=task)
    checkpoint.save(student, tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    for key in ("labels", "scheme", "deployed_view", "encoder"):
        del config[key]
    (tmp_path / "model" / "config.json").write_text(json.dumps(config | VERSION_1))
    sign(tmp_path / "model")
    loaded = checkpoint.load(tmp_path / "model")
    assert loaded.design == student.design
    example = Example("1", ("ana", "in", "rio"), relations=(Relation(Span(0, 1), Span(2, 3), "None"),))
    spans = marked_spans(example, task)
    batch = Batch.of([student.reader.read(example, ViewKind.PROMPT, marked=spans)], pad=0)
    with torch.inference_mode():
        assert torch.equal(loaded(batch), student(batch))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("post_processor", "special_tokens"), {}),
        (("post_processor", "special_tokens", "[SEP]", "ids"), [10**6]),
        (("model", "vocab"), {"a": 1}),
        (("model", "unk_token"), "nothing"),
    ],
)
def test_a_tokenizer_that_does_not_work_is_a_checkpoint_error(saved: Path, place: tuple[str, ...], value: Any) -> None:
    """The library panics, or fails at the first text with unknown characters."""
    tokenizer = json.loads((saved / "tokenizer.json").read_text())
    part = tokenizer
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    (saved / "tokenizer.json").write_text(json.dumps(tokenizer))
    sign(saved)
    with pytest.raises(CheckpointError, match=r"tokenizer\.json|config\.json"):
        checkpoint.load(saved)
