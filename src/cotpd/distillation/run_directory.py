"""A run's directory: its configuration, its metrics line by line, and checkpoints to resume from."""

from __future__ import annotations

import json
import logging
import platform
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from cotpd.core.config import ExperimentConfig
from cotpd.core.errors import CheckpointError, UsageError
from cotpd.core.files import json_line, locked, new_directory, read_jsonl, verify_directory, write_atomic, write_jsonl
from cotpd.distillation.distributed import processes
from cotpd.inference.decoding import resolved

logger = logging.getLogger(__name__)

_ENVIRONMENT = "environment.json"
_KEPT = 2
"""Checkpoints of a kind that are kept: the newest, and the one before in case it is damaged."""


@dataclass(frozen=True, slots=True)
class State:
    """Where training stands: all there is besides weights and optimizer, for everything else follows from the step."""

    step: int = 0
    best_step: int | None = None
    best_f1: float | None = None
    best_epoch: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """The files of one run. ``model/`` appears when it is finished."""

    path: Path

    @classmethod
    def open(cls, path: Path, config: ExperimentConfig, *, data: str, resume: bool) -> RunDirectory:
        """Begin a run, or go on with one; ``data`` is the hash of what it learns from.

        Raises `UsageError` if it exists and ``resume`` is false, is finished already, or has another configuration or
        other data, for a directory of other files, and where nothing can be written.
        """
        run, config_path = cls(path), path / "config.toml"
        if config_path.exists():
            if run.is_finished:
                if resume:
                    run.finish()  # what a kill at the very end has left
                raise UsageError(f"{path}: this run is finished; choose another directory with --out")
            if not resume:
                raise UsageError(f"{path}: a run was begun here; go on with --resume, or choose another --out")
            if not ExperimentConfig.read(config_path).trains_like(config):
                raise UsageError(f"{path}: begun with another configuration (see config.toml); choose another --out")
            if run.data not in (None, data):
                raise UsageError(f"{path}: begun with other posts, captions or knowledge; choose another --out")
            run._note_changes(_environment(config))
            return run
        if path.is_dir() and any(file.name != _ENVIRONMENT and file.name[0] != "." for file in path.iterdir()):
            raise UsageError(f"{path}: holds other files, and no run; choose another directory with --out")
        try:
            write_atomic(path / _ENVIRONMENT, json.dumps({**_environment(config), "data": data}, indent=2) + "\n")
            write_atomic(config_path, config.to_toml())
        except OSError as error:
            raise UsageError(f"{path}: cannot be written ({error.strerror}); choose another --out") from error
        return run

    @property
    def model(self) -> Path:
        """The finished student."""
        return self.path / "model"

    @property
    def is_finished(self) -> bool:
        """Whether the student was saved, whole as it was then; what has become of it, loading tells."""
        return self.model.exists()

    @property
    def data(self) -> str | None:
        """The hash of what the run began with; None where it was not recorded."""
        try:
            recorded: str | None = json.loads((self.path / _ENVIRONMENT).read_text(encoding="utf-8")).get("data")
        except (OSError, ValueError, AttributeError) as error:
            raise CheckpointError(f"{self.path / _ENVIRONMENT}: damaged ({error}); choose another --out") from error
        return recorded

    def checkpoints(self, kind: str) -> list[Path]:
        """Directories of a kind (``step`` or ``best``), the newest first."""
        found = (self.path / "checkpoints").glob(f"{kind}-*")
        return sorted(found, key=lambda directory: int(directory.name.split("-")[1]), reverse=True)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hold the run, so that no other process works on it. Raises `UsageError` where one does already."""
        with ExitStack() as stack:
            try:
                stack.enter_context(locked(self.path / _ENVIRONMENT, wait=False))  # a file that is never replaced
            except BlockingIOError as error:
                raise UsageError(f"{self.path}: another process makes it; wait, or choose another --out") from error
            yield

    def save(self, kind: str, step: int) -> Any:
        """A context that fills one checkpoint, whole or not at all."""
        return new_directory(self._checkpoint(kind, step))

    def has(self, kind: str, step: int) -> bool:
        """Whether a checkpoint is there already; a damaged one is set aside."""
        return _is_whole(self._checkpoint(kind, step))

    def newest(self) -> tuple[Path, State] | None:
        """The newest checkpoint to resume from whose best weights are there, too; damaged ones are set aside."""
        for directory in filter(_is_whole, self.checkpoints("step")):
            state = State(**json.loads((directory / "state.json").read_text(encoding="utf-8")))
            if state.best_step is None or _is_whole(self.best(state)):
                return directory, state
            _set_aside(directory)  # of no use without its best weights, and `prune` would keep it for the newest
        return None

    def best(self, state: State) -> Path:
        """The directory of the best weights so far."""
        assert state.best_step is not None
        return self._checkpoint("best", state.best_step)

    def prune(self) -> None:
        """Remove all but the newest checkpoints."""
        for kind in ("step", "best"):
            for directory in self.checkpoints(kind)[_KEPT:]:
                shutil.rmtree(directory)

    def log(self, **values: Any) -> None:
        """Append one line to metrics.jsonl."""
        with (self.path / "metrics.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json_line(values))

    def rewind_metrics(self, step: int) -> None:
        """Forget what was logged after ``step``: it will be logged again."""
        path = self.path / "metrics.jsonl"
        if path.exists():
            write_jsonl(path, [row for row in _whole_rows(path) if row["step"] <= step])

    def finish(self) -> None:
        """Remove the checkpoints of a finished run."""
        shutil.rmtree(self.path / "checkpoints", ignore_errors=True)

    def _note_changes(self, now: dict[str, str]) -> None:
        """Warn of all that is not as it was when the run began and may change its result."""
        begun = json.loads((self.path / _ENVIRONMENT).read_text(encoding="utf-8"))
        moved = {name: value for name, value in now.items() if begun.get(name, value) != value}
        changes = [f"{name} {begun[name]} (now {value})" for name, value in moved.items()]
        if changes and processes().is_main_process:
            told = "%s: begun with %s; the result may differ from that of a run that was never stopped"
            logger.warning(told, self.path, ", ".join(changes))

    def _checkpoint(self, kind: str, step: int) -> Path:
        return self.path / "checkpoints" / f"{kind}-{step}"


def state_json(state: State) -> str:
    """A state as it is stored."""
    return json.dumps(asdict(state)) + "\n"


def _is_whole(directory: Path) -> bool:
    """Whether a checkpoint is as it was saved; a damaged one is renamed, so that it can be saved again, also often."""
    try:
        verify_directory(directory)
    except CheckpointError:
        if directory.exists():
            _set_aside(directory)
        return False
    return True


def _set_aside(directory: Path) -> None:
    aside = directory.with_name(f"damaged-{directory.name}")
    shutil.rmtree(aside, ignore_errors=True)
    directory.rename(aside)


def _whole_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Every row but a last line torn by a kill."""
    text = path.read_text(encoding="utf-8")
    if not text.endswith("\n"):
        write_atomic(path, text[: text.rfind("\n") + 1])
    yield from (row for _, row in read_jsonl(path))


def _environment(config: ExperimentConfig) -> dict[str, str]:
    packages, together = {}, processes()
    for name in ("cotpd", "torch", "transformers", "tokenizers", "accelerate", "numpy", "safetensors"):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = "not installed"
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "machine": platform.machine(),
        **packages,
        "device": together.device.type,
        "num_processes": str(together.num_processes),
        "precision": resolved(config.optimisation.precision, together.device),
    }
