"""The directory of a run: its configuration, its metrics as JSON lines, and checkpoints to resume from."""

from __future__ import annotations

import json
import logging
import platform
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from cotpd.core.config import ExperimentConfig
from cotpd.core.errors import CheckpointError, UsageError
from cotpd.core.files import (
    json_line,
    named_if_full,
    new_directory,
    read_jsonl,
    verify_directory,
    write_atomic,
    write_jsonl,
)
from cotpd.core.guards.locks import locked
from cotpd.distillation.distributed import processes
from cotpd.inference.decoding import resolve_precision

logger = logging.getLogger(__name__)

_ENVIRONMENT = "environment.json"
_LOCK = ".lock"
_KEPT = 2
"""The number of checkpoints of each kind that are kept: the newest, and the previous one in case it is damaged."""


@dataclass(frozen=True, slots=True)
class State:
    """The state of a training besides weights and optimizer; everything else follows from the step.

    Attributes:
        step: The number of updates so far.
        best_step: The update after which the dev score was best; None before the first epoch ends.
        best_f1: The best dev score.
        best_epoch: The epoch of the best dev score, from 0.
        seconds: The duration of the training so far.
    """

    step: int = 0
    best_step: int | None = None
    best_f1: float | None = None
    best_epoch: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """The files of one run. The directory ``model`` exists only in a finished run."""

    path: Path

    @classmethod
    def open(cls, path: Path, config: ExperimentConfig, *, data: str, resume: bool) -> RunDirectory:
        """Start a run, or resume one.

        Args:
            path: The directory.
            config: The configuration of the run.
            data: The hash of the training set, see `TrainingSet.fingerprint`.
            resume: Whether to resume an interrupted run.

        Raises:
            UsageError: A run exists and ``resume`` is False; it is finished, or has another configuration or another
                training set; the directory holds other files or cannot be written.
        """
        run, config_path = cls(path), path / "config.toml"
        if config_path.exists():
            if run.is_finished:
                if resume:
                    run.finish()  # removes the checkpoints if the process was killed at the very end
                raise UsageError(f"{path}: this run is finished; choose another directory with --out")
            if not resume:
                raise UsageError(f"{path}: an interrupted run exists here; add --resume, or choose another --out")
            if not ExperimentConfig.read(config_path).trains_like(config):
                raise UsageError(f"{path}: this run has another configuration (see config.toml); choose another --out")
            if run.data not in (None, data):
                raise UsageError(f"{path}: this run has other examples, captions or knowledge; choose another --out")
            run._warn_of_changes(_environment(config))
            return run
        if path.is_dir() and any(file.name != _ENVIRONMENT and file.name[0] != "." for file in path.iterdir()):
            raise UsageError(f"{path}: the directory holds other files; choose another one with --out")
        try:
            write_atomic(path / _ENVIRONMENT, json.dumps({**_environment(config), "data": data}, indent=2) + "\n")
            write_atomic(config_path, config.to_toml())
        except OSError as error:
            raise UsageError(f"{path}: cannot be written ({error.strerror}); choose another --out") from error
        return run

    @property
    def model(self) -> Path:
        """The directory of the finished student."""
        return self.path / "model"

    @property
    def is_finished(self) -> bool:
        """Return True if the student was saved; whether it is still intact shows when it is loaded."""
        return self.model.exists()

    @property
    def data(self) -> str | None:
        """The hash of the training set; None if it was not recorded."""
        return self._recorded_environment().get("data")

    def checkpoints(self, kind: str) -> list[Path]:
        """Return the checkpoints of a kind (``step`` or ``best``), the newest first."""
        name = re.compile(rf"{kind}-(\d{{1,18}})", re.ASCII)
        found = [(name.fullmatch(each.name), each) for each in (self.path / "checkpoints").glob(f"{kind}-*")]
        steps = [(int(match[1]), directory) for match, directory in found if match]
        return [directory for _, directory in sorted(steps, reverse=True)]

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Lock the run. Raises `UsageError` if another process works on it."""
        with ExitStack() as stack:
            try:
                stack.enter_context(locked(self.path / _LOCK, wait=False))
            except BlockingIOError as error:
                message = f"{self.path}: {error.strerror} works on it; wait, or choose another --out"
                raise UsageError(message) from error
            yield

    def save(self, kind: str, step: int) -> Any:
        """Return a context manager that writes one checkpoint atomically."""
        return new_directory(self._checkpoint(kind, step))

    def has(self, kind: str, step: int) -> bool:
        """Return True if an intact checkpoint exists; a damaged one is moved away."""
        return _is_intact(self._checkpoint(kind, step))

    def newest(self) -> tuple[Path, State] | None:
        """Return the newest intact checkpoint whose best weights are intact, too; damaged ones are moved away."""
        for directory in filter(_is_intact, self.checkpoints("step")):
            state = _read_state(directory / "state.json")
            if state.best_step is None or _is_intact(self.best(state)):
                return directory, state
            _move_away(directory)  # useless without its best weights, and `prune` would keep it as the newest
        return None

    def best(self, state: State) -> Path:
        """Return the directory of the best weights so far."""
        assert state.best_step is not None
        return self._checkpoint("best", state.best_step)

    def prune(self) -> None:
        """Remove all but the newest checkpoints."""
        for kind in ("step", "best"):
            for directory in self.checkpoints(kind)[_KEPT:]:
                shutil.rmtree(directory)

    def log(self, **values: Any) -> None:
        """Append one line to metrics.jsonl."""
        path = self.path / "metrics.jsonl"
        try:
            with path.open("a", encoding="utf-8") as stream:
                stream.write(json_line(values))
        except OSError as error:
            raise named_if_full(error, path, safe="the checkpoints are intact") from error

    def rewind_metrics(self, step: int) -> None:
        """Remove the metrics after ``step``, because they will be logged again."""
        path = self.path / "metrics.jsonl"
        if path.exists():
            write_jsonl(path, [row for row in _complete_rows(path) if _step_of(row, path) <= step])

    def finish(self) -> None:
        """Remove the checkpoints of a finished run."""
        shutil.rmtree(self.path / "checkpoints", ignore_errors=True)

    def _warn_of_changes(self, now: dict[str, str]) -> None:
        """Warn of changes in the environment since the run started, which may change its result."""
        started = self._recorded_environment()
        changed = {name: value for name, value in now.items() if started.get(name, value) != value}
        changes = [f"{name} {started[name]} (now {value})" for name, value in changed.items()]
        if changes and processes().is_main_process:
            message = "%s: started with %s; the result may differ from that of an uninterrupted run"
            logger.warning(message, self.path, ", ".join(changes))

    def _recorded_environment(self) -> dict[str, str]:
        path = self.path / _ENVIRONMENT
        try:
            return _STRINGS.validate_json(path.read_bytes())
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not an object of strings"
            raise CheckpointError(f"{path}: damaged ({reason}); choose another --out") from error

    def _checkpoint(self, kind: str, step: int) -> Path:
        return self.path / "checkpoints" / f"{kind}-{step}"


_STATE = TypeAdapter(State)
_STRINGS = TypeAdapter(dict[str, str])


def state_json(state: State) -> str:
    """Return a state as JSON."""
    return json.dumps(asdict(state)) + "\n"


def _is_intact(directory: Path) -> bool:
    """Return True if a checkpoint is intact; move a damaged one away, so that it can be saved again."""
    try:
        verify_directory(directory)
    except CheckpointError:
        if directory.exists():
            _move_away(directory)
        return False
    return True


def _move_away(directory: Path) -> None:
    aside = directory.with_name(f"damaged-{directory.name}")
    shutil.rmtree(aside, ignore_errors=True)
    directory.rename(aside)


def _complete_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows, without an incomplete last line that a killed process left."""
    content = path.read_bytes()
    if not content.endswith(b"\n"):
        write_atomic(path, content[: content.rfind(b"\n") + 1])
    yield from (row for _, row in read_jsonl(path))


def _step_of(row: dict[str, Any], path: Path) -> int:
    step = row.get("step")
    if not isinstance(step, int):
        raise CheckpointError(f"{path}: a line without the number of its update; choose another --out")
    return step


def _read_state(path: Path) -> State:
    try:
        return _STATE.validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: damaged ({error}); remove this checkpoint, or choose another --out") from error


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
        "precision": resolve_precision(config.optimisation.precision, together.device),
    }
