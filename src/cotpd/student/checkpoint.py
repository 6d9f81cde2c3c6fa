"""A student's directory: config.json, model.safetensors, tokenizer.json, a model card, and their hashes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

from cotpd.core.config import PromptConfig, StudentConfig, Task, ViewConfig
from cotpd.core.errors import CheckpointError, DataError, MissingExtraError, UsageError
from cotpd.core.files import new_directory, verify_directory
from cotpd.core.labels import LabelSet
from cotpd.core.splitting import Rule
from cotpd.student.encoder import TextEncoder
from cotpd.student.student import Design, Student
from cotpd.views.view import ViewKind

MODEL_TYPE = "cotpd"
FORMAT_VERSION = 1
_CARD = "README.md"
"""The model card, which people may edit."""
_PICKLE_STARTS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")


def save(student: Student, path: Path, *, card: str = "") -> None:
    """Write the student to a new directory, atomically; ``card`` is the text of the model card below its header."""
    with new_directory(path) as directory:
        (directory / "config.json").write_text(json.dumps(describe(student), indent=2) + "\n", encoding="utf-8")
        (directory / "tokenizer.json").write_text(student.reader.pieces.tokenizer.to_str(), encoding="utf-8")
        (directory / _CARD).write_text(_header(student) + card, encoding="utf-8")
        save_tensors(weights(student), directory / "model.safetensors")


def load(path: Path, *, device: str | None = None) -> Student:
    """The student of a directory, ready to predict on a torch device, by default the GPU if there is one.

    Raises `CheckpointError` for a directory that is missing, damaged, foreign, from a newer version, a pickle, or
    whose weights do not fit its config, and `MissingExtraError` for a device that cannot be had.
    """
    design, values = _read(path)
    _refuse_pickle(path / "model.safetensors")
    verify_directory(path, ignore=_CARD)
    try:
        student = Student(TextEncoder.from_config(values["encoder_config"]), _tokenizer(path), design)
    except (KeyError, TypeError, ValueError, RuntimeError, DataError, UsageError) as error:
        raise CheckpointError(f"{path / 'config.json'}: {type(error).__name__}: {error}") from error
    load_weights(student, path / "model.safetensors")
    return _on_device(student.eval(), device)


def read_design(path: Path) -> Design:
    """The design of a directory's student. Raises `CheckpointError` as `load` does; the weights are not looked at."""
    return _read(path)[0]


def save_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    """Write tensors as safetensors. Raises OSError where they cannot be written, as on a full disk."""
    try:
        save_file(tensors, path, metadata={"format": "pt"})
    except SafetensorError as error:
        raise OSError(f"{path}: cannot be written ({error}); make room, then go on") from error


def describe(student: Student) -> dict[str, Any]:
    """What config.json holds: all that `load` needs besides weights and tokenizer."""
    design = student.design
    labels = dict(enumerate(_labels(design)))
    return {
        "model_type": MODEL_TYPE,
        "format_version": FORMAT_VERSION,
        "task": design.task,
        "types": list(design.label_set.types),
        "relations": list(design.relations),
        "id2label": labels,
        "label2id": {label: number for number, label in labels.items()},
        "ships": design.ships.value,
        "splitting": str(design.splitting),
        "student": design.student.model_dump(mode="json"),
        "prompt": design.prompt.model_dump(mode="json") if design.prompt else None,
        "views": design.views.model_dump(mode="json"),
        "encoder_config": _encoder_config(student),
    }


def _tokenizer(path: Path) -> Tokenizer:
    """Read from bytes, for `Tokenizer.from_file` raises the bare Exception for what it does not know."""
    file = path / "tokenizer.json"
    try:
        return Tokenizer.from_buffer(file.read_bytes())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file}: damaged, or saved by newer tokenizers (then upgrade them): {error}") from error


def _on_device(student: Student, device: str | None) -> Student:
    try:
        return student.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().split("\n")[0]
        raise MissingExtraError(f"the device {device!r} cannot be used: {reason}") from error


def weights(student: Student) -> dict[str, Tensor]:
    """Every weight by name, contiguous and on the CPU."""
    return {name: tensor.detach().cpu().contiguous() for name, tensor in student.state_dict().items()}


def load_weights(student: Student, path: Path) -> None:
    """Read a safetensors file into the student. Raises `CheckpointError` unless names and shapes are the student's."""
    try:
        student.load_state_dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: not a whole safetensors file: {error}") from error
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:3]]
        raise CheckpointError(f"{path}: the weights do not fit config.json: {' '.join(lines)}") from error


def _encoder_config(student: Student) -> dict[str, Any]:
    values = student.encoder.config.to_dict()
    foreign = ("_name_or_path", "transformers_version", "architectures", "torch_dtype", "dtype")
    return {key: value for key, value in values.items() if key not in foreign}


def _read(path: Path) -> tuple[Design, dict[str, Any]]:
    """The design, and all that config.json holds."""
    if not (path / "config.json").is_file():
        if (path.parent / "config.toml").is_file() and not path.exists():
            how = "go on with `cotpd distill CONFIG --resume`, or start its study again"
            raise CheckpointError(f"{path.parent}: this run is not finished; {how}")
        raise CheckpointError(f"{path}: no model here (config.json is missing); give a directory that CoTPD saved")
    values = _read_config(path / "config.json")
    try:
        return _design(values), values
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise CheckpointError(f"{path / 'config.json'}: {type(error).__name__}: {error}") from error


def _read_config(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: not JSON: {error}") from error
    if not isinstance(values, dict) or values.get("model_type") != MODEL_TYPE:
        raise CheckpointError(f"{path}: not a CoTPD model (model_type is not {MODEL_TYPE!r})")
    version = values.get("format_version", 0)
    if not isinstance(version, int):
        raise CheckpointError(f"{path}: format_version is {version!r}, not a number; use another checkpoint")
    if version > FORMAT_VERSION:
        raise CheckpointError(f"{path}: saved by a newer CoTPD (format {version}); upgrade cotpd")
    return values


def _refuse_pickle(path: Path) -> None:
    try:
        with path.open("rb") as stream:
            start = stream.read(4)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error
    if start.startswith(_PICKLE_STARTS):
        raise CheckpointError(f"{path}: a pickle, which can run code when it is loaded; only safetensors are read")


def _design(values: dict[str, Any]) -> Design:
    student = StudentConfig.model_validate(values["student"])
    design = Design(
        task=values["task"],
        label_set=LabelSet(tuple(values["types"]), student.scheme),
        relations=tuple(values["relations"]),
        student=student,
        prompt=PromptConfig.model_validate(values["prompt"]) if values["prompt"] else None,
        views=ViewConfig.model_validate(values["views"]),
        ships=ViewKind(values["ships"]),
        splitting=Rule(values["splitting"]),
    )
    if design.task not in get_args(Task):
        raise ValueError(f"the task {design.task!r} is none of {', '.join(get_args(Task))}")
    named, labels = values["id2label"], _labels(design)
    if named != {str(index): label for index, label in enumerate(labels)} or len(set(labels)) != len(labels):
        raise ValueError(f"id2label is {named}, but {', '.join(labels)} follow from the types or relations")
    return design


def _labels(design: Design) -> tuple[str, ...]:
    """What the head's outputs mean."""
    return design.relations if design.task == "relations" else design.label_set.tags


def _header(student: Student) -> str:
    entities = student.design.task == "entities"
    finds = student.label_set.types if entities else student.design.relations[1:]
    return f"""---
library_name: cotpd
pipeline_tag: {"token-classification" if entities else "text-classification"}
base_model: {student.design.student.encoder}
tags: [{"named-entity-recognition" if entities else "relation-extraction"}, text-only, distillation]
---

# A text-only extractor of {", ".join(finds)}

Made by CoTPD (chain-of-thought prompt distillation, arXiv 2306.14122). It reads text alone: no image and no language
model is needed. See `cotpd extract --help`.

"""
