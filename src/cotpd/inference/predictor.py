"""A trained student: load it from a directory or the hub, predict examples, save it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar, Self, TypedDict, Unpack, get_args

from cotpd.core.config import Task
from cotpd.core.errors import CheckpointError, UsageError
from cotpd.core.guards.hub import fetch, repository_of
from cotpd.core.records import Example, Prediction
from cotpd.inference.decoding import Precision, decode
from cotpd.student import checkpoint
from cotpd.student.student import Student
from cotpd.views.view import ViewKind


class HubOptions(TypedDict, total=False):
    """How a model of the Hugging Face hub is downloaded."""

    revision: str | None
    token: str | None
    cache_dir: str | Path | None
    local_files_only: bool


class TrainedStudent:
    """A student of any task; the base of the extractors.

    Args:
        student: The network.
        batch_size: The number of views that the encoder reads together.
        precision: ``"float32"``, ``"bfloat16"``, or ``"auto"`` for bfloat16 where the device has it. See
            `cotpd.inference.decoding.decode` for what bfloat16 gains and changes.

    Raises:
        UsageError: If an option is invalid, or the student was trained on another task than this extractor needs.
    """

    required_task: ClassVar[Task | None] = None
    """The task of the students that the class accepts; None for all."""

    def __init__(self, student: Student, *, batch_size: int = 32, precision: Precision = "float32") -> None:
        if not isinstance(batch_size, int) or batch_size < 1:
            raise UsageError(f"batch_size must be an integer of at least 1, got {batch_size!r}")
        if precision not in get_args(Precision):
            raise UsageError(f"precision must be one of {', '.join(get_args(Precision))}, got {precision!r}")
        if self.required_task not in (None, student.design.task):
            raise UsageError(
                f"{type(self).__name__} needs a student trained on {self.required_task}, got one trained on "
                f"{student.design.task}; use `load_extractor`, which chooses the extractor"
            )
        self.student = student
        self.batch_size = batch_size
        self.precision = precision

    @classmethod
    def from_pretrained(
        cls,
        path_or_name: str | Path,
        *,
        device: str | None = None,
        batch_size: int = 32,
        precision: Precision = "float32",
        **hub: Unpack[HubOptions],
    ) -> Self:
        """Load a trained student. A local directory is read without any network access.

        Args:
            path_or_name: A model directory, the directory of a finished run, or a model of the Hugging Face hub:
                ``owner/name`` if there is no local directory ``owner``, or ``hf:owner/name``.
            device: A torch device; by default the GPU if there is one.
            batch_size: The number of views that the encoder reads together.
            precision: See `cotpd.inference.decoding.decode`.
            **hub: For a name of the hub: ``revision``, ``token``, ``cache_dir`` (where downloads are stored) and
                ``local_files_only`` (use only files that were downloaded before).

        Raises:
            CheckpointError: If there is no intact model.
            MissingExtraError: If the hub or the device is not available.
            UsageError: If the student was trained on another task than this extractor needs.
        """
        repository = repository_of(str(path_or_name))
        directory = fetch(repository, _HUB_FILES, **hub) if repository else _local_directory(Path(path_or_name))
        return cls(checkpoint.load(directory, device=device), batch_size=batch_size, precision=precision)

    @property
    def task(self) -> Task:
        """The task that the student was trained on."""
        return self.student.design.task

    def predict(self, examples: Iterable[Example], *, kind: str | None = None) -> Iterator[Prediction]:
        """Predict examples, whose words are not split again.

        Args:
            examples: The examples; gold labels are not used.
            kind: The view to read (a `ViewKind`), by default the deployed view.

        Raises:
            UsageError: If the view is unknown.
        """
        if kind is not None and kind not in list(ViewKind):
            raise UsageError(f"unknown view {kind!r}; choose one of {', '.join(ViewKind)}")
        return decode(
            self.student,
            examples,
            kind=ViewKind(kind or self.student.design.deployed_view),
            batch_size=self.batch_size,
            precision=self.precision,
        )

    def save_pretrained(self, path: str | Path) -> None:
        """Write a model directory for `from_pretrained`. Raises `UsageError` if it exists."""
        checkpoint.save(self.student, Path(path))


_HUB_FILES = ["config.json", "model.safetensors", "tokenizer.json", "README.md", "manifest.json"]


def _local_directory(path: Path) -> Path:
    """Return the model directory at a path, which may be that of a run."""
    for directory in (path, path / "model"):
        if (directory / "config.json").is_file():
            return directory
    if (path / "config.toml").is_file():
        raise CheckpointError(f"{path}: this run is not finished; resume it with `cotpd distill CONFIG --resume`")
    if path.exists():
        raise CheckpointError(f"{path}: no model here; give a finished run or a model directory")
    advice = "check the path; write hf:owner/name for a model of the Hugging Face hub"
    raise CheckpointError(f"{path}: no model here, and no such directory; {advice}")
