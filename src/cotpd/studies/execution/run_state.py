"""The state of a run, read from its directory, and the lock that admits one process at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any

from cotpd.core.config import ExperimentConfig
from cotpd.core.errors import UsageError
from cotpd.core.guards.locks import locked
from cotpd.distillation.runs.run_directory import RunDirectory
from cotpd.studies.plan.design import PlannedRun

_IGNORED_KEYS = {"method", "corpus.path", "training_set.unlabelled", "objective.target_runs"}
"""Settings that do not change a result: the preset, and paths, whose contents are compared by hash."""


class RunState(StrEnum):
    """The progress of a run."""

    NEW = "to do"
    STARTED = "started"
    FINISHED = "finished"
    DAMAGED = "damaged"
    CHANGED = "settings changed"
    FAILED = "failed"

    @property
    def is_pending(self) -> bool:
        """Whether the run still has to be started or completed."""
        return self in (RunState.NEW, RunState.STARTED)


def state_of(run: PlannedRun) -> RunState:
    """Return the state of a run from its directory.

    CHANGED means that its configuration differs from the planned one, DAMAGED that its configuration cannot be read.
    """
    try:
        if not (run.path / "config.toml").exists():
            return RunState.NEW
        if changed_keys(run):
            return RunState.CHANGED
        return RunState.FINISHED if RunDirectory(run.path).is_finished else RunState.STARTED
    except (UsageError, OSError):
        return RunState.DAMAGED


def changed_keys(run: PlannedRun) -> list[str]:
    """Return the keys in which an existing run differs from the planned one, without the locations of files."""
    existing = ExperimentConfig.of_run(run.path)
    before, planned = (dict(_flatten(config.model_dump(mode="json"))) for config in (existing, run.config))
    keys = (before.keys() | planned.keys()) - _IGNORED_KEYS
    return sorted(key for key in keys if before.get(key) != planned.get(key))


@contextmanager
def exclusive(run: Path) -> Iterator[bool]:
    """Lock a run until the context or the process ends. The value is False if another process has the lock.

    Raises:
        UsageError: If the directory of the lock files cannot be written.
    """
    path = run.parent / "locks" / run.name
    with ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(path, wait=False))
        except BlockingIOError:
            yield False
            return
        except OSError as error:
            raise UsageError(f"{path.parent}: cannot be written ({error.strerror}); choose another --out") from error
        yield True


def _flatten(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
