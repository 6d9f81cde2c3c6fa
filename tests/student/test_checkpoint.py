"""Saving and loading a student, and the errors of everything that is not a saved student."""

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
        ({"encoder_config": {"model_type": "nothing"}}, "no known encoder"),
        ({"labels": ["", "LOC", "PER"]}, "O, B-, I-, B-LOC"),
        ({"labels": [""], "id2label": {"0": "O", "1": "B-", "2": "I-"}}, r"config\.json: DataError"),
        (
            {"labels": ["A"] * 2, "id2label": dict(zip("01234", ["O", "B-A", "I-A", "B-A", "I-A"], strict=True))},
            "the labels must differ",
        ),
        ({"prompt": {"heads": 7}}, r"config\.json: UsageError: a prompt generator of 48 .* cannot have 7 heads"),
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
    with pytest.raises(CheckpointError, match="no known encoder"):
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
    with pytest.raises(CheckpointError, match="pickle"):
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
