"""The directory of a student: config.json, model.safetensors, tokenizer.json, a model card, and their hashes."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Any, get_args

import torch
from huggingface_hub import ModelCard, ModelCardData
from pydantic import ValidationError
from tokenizers import Tokenizer
from torch import Tensor

from cotpd.core.config import Task, ViewConfig
from cotpd.core.errors import CheckpointError, DataError, MissingExtraError, UsageError
from cotpd.core.files import new_directory, verify_directory
from cotpd.core.guards.model_files import MAX_LAYERS, MAX_TOKENIZER_BYTES, read_settings
from cotpd.core.splitting import Rule
from cotpd.student.design import Design, PromptDesign
from cotpd.student.encoder import TextEncoder
from cotpd.student.format_upgrade import FORMAT_VERSION, upgrade
from cotpd.student.student import Student
from cotpd.student.tasks import OUTPUTS
from cotpd.student.weight_file import read_tensors, require_fitting, save_tensors
from cotpd.views.view import ViewKind

MODEL_TYPE = "cotpd"
_ODD_TEXT = "\U0010fffd \u4e00 na\u00efve"
"""A text with characters that most vocabularies lack."""
_CARD = "README.md"
"""The model card, which people may edit."""
_BUILDING_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    DataError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    UsageError,
    ValueError,
)
"""Errors of a network whose config.json has odd values."""


def save(student: Student, path: Path, *, card: str = "") -> None:
    """Write a student to a new directory, atomically; ``card`` is appended to the generated model card."""
    with new_directory(path) as directory:
        (directory / "config.json").write_text(json.dumps(describe(student), indent=2) + "\n", encoding="utf-8")
        (directory / "tokenizer.json").write_text(student.reader.pieces.tokenizer.to_str(), encoding="utf-8")
        (directory / _CARD).write_text(_header(student.design) + card, encoding="utf-8")
        save_tensors(weights(student), directory / "model.safetensors")


def load(path: Path, *, device: str | None = None) -> Student:
    """Load a student in evaluation mode.

    Args:
        path: A directory that `save` wrote, with this version or an earlier one.
        device: A torch device; by default the GPU if there is one.

    Raises:
        CheckpointError: The directory is missing or damaged, belongs to another library or a newer version, holds a
            pickle or names code to run, or its weights do not fit its config or are not finite.
        MissingExtraError: The device is not available.
    """
    design, values = _read(path)
    verify_directory(path, ignore=_CARD)
    tokenizer = _tokenizer(path)
    with torch.device("meta"):  # without memory, which hostile sizes would exhaust
        require_fitting(path / "model.safetensors", _build(path, values, tokenizer, design).state_dict())
    student = _build(path, values, tokenizer, design)
    load_weights(student, path / "model.safetensors")
    return _on_device(student.eval(), device)


def read_design(path: Path) -> Design:
    """Read the design of a saved student without its weights. Raises `CheckpointError` as `load` does."""
    return _read(path)[0]


def describe(student: Student) -> dict[str, Any]:
    """Return the content of config.json: all that `load` needs besides weights and tokenizer."""
    design = student.design
    outputs = dict(enumerate(OUTPUTS[design.task].names(design)))
    return {
        "model_type": MODEL_TYPE,
        "format_version": FORMAT_VERSION,
        "task": design.task,
        "labels": list(design.labels),
        "scheme": design.scheme,
        "id2label": outputs,
        "label2id": {label: number for number, label in outputs.items()},
        "deployed_view": design.deployed_view.value,
        "splitting": str(design.splitting),
        "encoder": design.encoder,
        "prompt": design.prompt._asdict() if design.prompt else None,
        "views": design.views.model_dump(mode="json"),
        "encoder_config": _encoder_config(student),
    }


def _build(path: Path, values: dict[str, Any], tokenizer: Tokenizer, design: Design) -> Student:
    try:
        student = Student(TextEncoder.from_config(values["encoder_config"]), tokenizer, design)
    except CheckpointError as error:
        raise CheckpointError(f"{path / 'config.json'}: {error}") from error
    except _BUILDING_ERRORS as error:
        raise CheckpointError(f"{path / 'config.json'}: {type(error).__name__}: {error}") from error
    pieces, num_rows = student.reader.pieces, len(student.encoder.embeddings.weight)
    special = (*pieces.opening, *pieces.between, *pieces.closing, pieces.pad, pieces.unknown)
    last = max(*special, *tokenizer.get_vocab().values())
    if last >= num_rows:
        raise CheckpointError(f"{path / 'tokenizer.json'}: piece {last} is not among the {num_rows} embeddings")
    return student


def _tokenizer(path: Path) -> Tokenizer:
    """Read the tokenizer from bytes, because `Tokenizer.from_file` raises a bare Exception for unknown content."""
    file = path / "tokenizer.json"
    try:
        if file.stat().st_size > MAX_TOKENIZER_BYTES:
            raise CheckpointError(f"{file}: larger than {MAX_TOKENIZER_BYTES:,} bytes")
        with _RefusedPanic(file):
            tokenizer = Tokenizer.from_buffer(file.read_bytes())
            tokenizer.encode("a", "b")
            tokenizer.encode(_ODD_TEXT, add_special_tokens=False)
            return tokenizer
    except (OSError, ValueError) as error:
        message = "damaged, or saved by newer tokenizers (upgrade the package tokenizers)"
        raise CheckpointError(f"{file}: {message}: {error}") from error


class _RefusedPanic:
    """Turns a bare Exception and a panic of the Rust library tokenizers into a `CheckpointError`."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is not None and (kind is Exception or kind.__name__ == "PanicException"):
            raise CheckpointError(f"{self._file}: damaged, the tokenizer does not work: {error}") from error


def _on_device(student: Student, device: str | None) -> Student:
    try:
        return student.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().split("\n")[0]
        raise MissingExtraError(f"the device {device!r} is not available: {reason}") from error


def weights(student: Student) -> dict[str, Tensor]:
    """Return every weight by name, contiguous and on the CPU."""
    return {name: tensor.detach().cpu().contiguous() for name, tensor in student.state_dict().items()}


def load_weights(student: Student, path: Path) -> None:
    """Load a safetensors file into a student. Raises `CheckpointError` as `read_tensors`."""
    student.load_state_dict(read_tensors(path, student.state_dict()))


def _encoder_config(student: Student) -> dict[str, Any]:
    values = student.encoder.config.to_dict()
    irrelevant = ("_name_or_path", "transformers_version", "architectures", "torch_dtype", "dtype")
    return {key: value for key, value in values.items() if key not in irrelevant}


def _read(path: Path) -> tuple[Design, dict[str, Any]]:
    """Return the design and the whole content of config.json."""
    if not (path / "config.json").is_file():
        if (path.parent / "config.toml").is_file() and not path.exists():
            advice = "resume it with `cotpd distill CONFIG --resume`, or start its study again"
            raise CheckpointError(f"{path.parent}: this run is not finished; {advice}")
        raise CheckpointError(f"{path}: no model here (config.json is missing); give a directory that CoTPD saved")
    values = _read_config(path / "config.json")
    try:
        values = upgrade(values)
        return _design(values), values
    except (*_BUILDING_ERRORS, ValidationError) as error:
        raise CheckpointError(f"{path / 'config.json'}: {type(error).__name__}: {error}") from error


def _read_config(path: Path) -> dict[str, Any]:
    try:
        values = read_settings(path)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path.parent}: {error}") from error
    if values.get("model_type") != MODEL_TYPE:
        found = values.get("model_type")
        raise CheckpointError(f"{path}: not a CoTPD model: model_type is {found!r}, expected {MODEL_TYPE!r}")
    version = values.get("format_version", 0)
    if not isinstance(version, int):
        raise CheckpointError(f"{path}: format_version must be a number, got {version!r}; use another checkpoint")
    if version > FORMAT_VERSION:
        raise CheckpointError(f"{path}: saved by a newer CoTPD (format {version}); upgrade cotpd")
    return values


def _design(values: dict[str, Any]) -> Design:
    if values["task"] not in get_args(Task):
        raise ValueError(f"unknown task {values['task']!r}; expected {', '.join(get_args(Task))}")
    _check_types(values)
    design = Design(
        task=values["task"],
        labels=tuple(values["labels"]),
        deployed_view=ViewKind(values["deployed_view"]),
        prompt=PromptDesign(**values["prompt"]) if values["prompt"] else None,
        views=ViewConfig.model_validate(values["views"]),
        splitting=Rule(values["splitting"]),
        scheme=values["scheme"],
        encoder=values["encoder"],
    )
    outputs = OUTPUTS[design.task].names(design)
    if values["id2label"] != {str(number): name for number, name in enumerate(outputs)}:
        raise ValueError(f"id2label is {values['id2label']}, but the labels give {', '.join(outputs)}")
    if len(set(outputs)) != len(outputs):
        raise ValueError(f"the labels must differ, got {', '.join(outputs)}")
    return design


def _check_types(values: dict[str, Any]) -> None:
    """Raise ValueError for labels that are not strings, and for a prompt generator that is too large to be one."""
    if not isinstance(values["labels"], list) or not all(isinstance(label, str) for label in values["labels"]):
        raise ValueError(f"labels must be a list of strings, got {str(values['labels'])[:60]}")
    if not isinstance(values["encoder_config"], dict) or not isinstance(values["prompt"], dict | None):
        raise ValueError("encoder_config and prompt must be objects")
    if not isinstance(values["encoder"], str):
        raise ValueError(f"encoder must be a name, got {str(values['encoder'])[:60]}")
    for key in ("length", "layers", "heads"):
        size = (values["prompt"] or {}).get(key, 1)
        if not isinstance(size, int) or not 1 <= size <= MAX_LAYERS:
            raise ValueError(f"prompt.{key} must be between 1 and {MAX_LAYERS:,}, got {str(size)[:20]}")


def _header(design: Design) -> str:
    output = OUTPUTS[design.task]
    metadata = ModelCardData(
        library_name="cotpd",
        pipeline_tag=output.pipeline_tag,
        base_model=design.encoder,
        tags=[output.tag, "text-only", "distillation"],
    )
    card = ModelCard(f"---\n{metadata.to_yaml()}\n---\n\n{_CARD_TEXT.format(title=output.title(design))}")
    return str(card)


_CARD_TEXT = """\
# {title}

Trained with CoTPD (chain-of-thought prompt distillation, arXiv 2306.14122). The model reads only text: it needs neither
an image nor a language model. See `cotpd extract --help`.

"""
