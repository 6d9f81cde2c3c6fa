"""A trained student as it is used: loaded from wherever it lies, predicting examples, saved."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Self, get_args

from cotpd.core.config import Task
from cotpd.core.errors import CheckpointError, UsageError
from cotpd.core.records import Example, Prediction
from cotpd.inference.decoding import Precision, decode
from cotpd.student import checkpoint
from cotpd.student.hub import fetch
from cotpd.student.student import Student
from cotpd.views.view import ViewKind


class TrainedStudent:
    """What every use of a student shares, whatever it was trained on.

    Raises `UsageError` for a ``batch_size`` that is no whole number from 1, and for an unknown ``precision``.
    """

    def __init__(self, student: Student, *, batch_size: int = 32, precision: Precision = "float32") -> None:
        if not isinstance(batch_size, int) or batch_size < 1:
            raise UsageError(f"batch_size is {batch_size!r}; a whole number of at least 1 is expected")
        if precision not in get_args(Precision):
            raise UsageError(f"precision is {precision!r}; {', '.join(get_args(Precision))} are known")
        self.student = student
        self.batch_size = batch_size
        self.precision = precision

    @classmethod
    def from_pretrained(
        cls,
        path_or_name: str | Path,
        *,
        device: str | None = None,
        revision: str | None = None,
        token: str | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
    ) -> Self:
        """Load a model directory, a finished run's directory, or a model of the Hugging Face hub.

        ``device`` is a torch device, by default the GPU if there is one; the other options concern the hub alone. A
        directory is read without opening a socket. Raises `CheckpointError` where no intact model is found and
        `MissingExtraError` where the hub or the device cannot be had.
        """
        directory = _local(str(path_or_name))
        if directory is None:
            directory = fetch(
                str(path_or_name),
                _HUB_FILES,
                revision=revision,
                token=token,
                cache_dir=cache_dir,
                local_files_only=local_files_only,
            )
        return cls(checkpoint.load(directory, device=device))

    @property
    def task(self) -> Task:
        """What the student was trained on."""
        return self.student.design.task

    def predict(self, examples: Iterable[Example], *, kind: str | None = None) -> Iterator[Prediction]:
        """Predict examples, their words as they are, from the view that ships or from another `ViewKind`.

        Raises `UsageError` for a view that is none.
        """
        if kind is not None and kind not in list(ViewKind):
            raise UsageError(f"{kind!r} is no view; there are {', '.join(ViewKind)}")
        return decode(
            self.student,
            examples,
            kind=ViewKind(kind or self.student.design.ships),
            batch_size=self.batch_size,
            precision=self.precision,
        )

    def save_pretrained(self, path: str | Path) -> None:
        """Write a model directory that `from_pretrained` reads. Raises `UsageError` if it exists."""
        checkpoint.save(self.student, Path(path))


_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_HUB_FILES = ["config.json", "model.safetensors", "tokenizer.json", "README.md", "manifest.json"]


def _local(name: str) -> Path | None:
    """The model directory at a path: itself, or a run's ``model``. None for what can only be a hub name."""
    path = Path(name)
    for directory in (path, path / "model"):
        if (directory / "config.json").is_file():
            return directory
    if (path / "config.toml").is_file():
        raise CheckpointError(f"{path}: this run is not finished; go on with `cotpd distill … --resume`")
    if path.exists() or not _HUB_NAME.fullmatch(name):
        raise CheckpointError(f"{path}: no model here; give a run, a model directory or a hub name like owner/model")
    return None
