"""Making the runs of a plan: each once, in the order of their needs, next to other processes that do the same."""

from __future__ import annotations

import fcntl
import json
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from cotpd.core.config import ExperimentConfig
from cotpd.core.errors import CotpdError, UsageError
from cotpd.core.files import write_atomic
from cotpd.distillation.distributed import processes
from cotpd.distillation.progress import Progress
from cotpd.distillation.recipe import distill
from cotpd.distillation.run_directory import RunDirectory
from cotpd.distillation.training_set.selection import TrainingSet
from cotpd.studies.execution.eta import Forecast, StudyListener, StudyProgress
from cotpd.studies.execution.predictions import Cell, Corpora, Scored, scored
from cotpd.studies.plan.expansion import PlannedRun
from cotpd.studies.plan.plan import Plan

logger = logging.getLogger(__name__)

_NO_DIFFERENCE = {"data.path", "data.unlabelled", "objective.target_runs", "optimisation.checkpoint_steps"}
"""Settings that change no result: where files lie (what is in them is compared by its hash), how often to save."""

_BUGS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
_ERRORS = (CotpdError, OSError, *_BUGS)
"""What ends a run and not the study."""

_PATIENCE = 1.0
"""Seconds between two looks at runs that another process makes."""


class RunState(StrEnum):
    """How far a run is."""

    NEW = "to do"
    BEGUN = "begun"
    FINISHED = "finished"
    DAMAGED = "damaged"
    CHANGED = "changed since"
    FAILED = "failed"

    @property
    def is_left(self) -> bool:
        """Whether the run is still to be made, or to be made to its end."""
        return self in (RunState.NEW, RunState.BEGUN)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a run; ``reason`` says why one failed, or could not be scored."""

    run: PlannedRun
    state: RunState
    cells: tuple[Cell, ...] = ()
    reason: str = ""


def state_of(run: PlannedRun) -> RunState:
    """How far a run is by its directory: CHANGED, if it was finished or begun with another configuration, DAMAGED, if
    its configuration cannot be read.
    """
    try:
        if not (run.path / "config.toml").exists():
            return RunState.NEW
        if changed_keys(run):
            return RunState.CHANGED
        return RunState.FINISHED if RunDirectory(run.path).is_finished else RunState.BEGUN
    except (UsageError, OSError):
        return RunState.DAMAGED


def changed_keys(run: PlannedRun) -> list[str]:
    """The keys in which a run that exists differs from the planned one; where its files lie does not matter."""
    made = ExperimentConfig.read(run.path / "config.toml")
    one, other = (dict(_flat(config.model_dump(mode="json"))) for config in (made, run.config))
    return sorted(key for key in (one.keys() | other.keys()) - _NO_DIFFERENCE if one.get(key) != other.get(key))


def make_runs(
    plan: Plan, runs: Sequence[PlannedRun], corpora: Corpora, listener: StudyListener, *, only_report: bool = False
) -> dict[str, Outcome]:
    """Make and score every run that is not finished yet; a run that fails is told of, and the others go on.

    Several processes may work on one study: each run is made by the first that takes it, and all of them come to the
    same end. Under `accelerate launch` they make each run together instead, and a failure ends the study.
    ``only_report``: make nothing, score what is finished.
    """
    work = _Work(plan, corpora, listener, runs, only_report=only_report)
    while waiting := [run for run in runs if run.id not in work.outcomes]:
        if not any(work.took(run) for run in waiting):
            time.sleep(_PATIENCE)
    work.look_again()
    return work.outcomes


class _Work:
    """What is done of a study, and how the next run is taken on."""

    def __init__(
        self,
        plan: Plan,
        corpora: Corpora,
        listener: StudyListener,
        runs: Sequence[PlannedRun],
        *,
        only_report: bool,
    ) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self._plan, self._corpora, self._listener, self._runs = plan, corpora, listener, runs
        self._together = processes().num_processes > 1
        self._only_report = only_report
        self._forecast = Forecast()
        for run in runs:
            if state_of(run) is RunState.FINISHED:
                self._learn_time(run)

    def took(self, run: PlannedRun) -> bool:
        """Bring a run to its end, unless that must wait: for a run that it needs, or because another process has it."""
        if self._only_report and (state := state_of(run)).is_left:
            self.outcomes[run.id] = Outcome(run, state)
            return True
        needed = [] if self._only_report else [self.outcomes.get(name) for name in run.needs]
        if failed := [outcome.run.id for outcome in needed if outcome and outcome.state is not RunState.FINISHED]:
            self.outcomes[run.id] = Outcome(run, RunState.FAILED, reason=f"needs {failed[0]}, which failed")
            return True
        if None in needed:
            return False
        with _taken(run.path, shared=self._together or self._only_report) as is_ours:
            if is_ours:
                self.outcomes[run.id] = self._outcome(run)
        return is_ours

    def look_again(self) -> None:
        """Take over what failed here and has been made by another process since."""
        for run in self._runs:
            if self.outcomes[run.id].state is RunState.FAILED and state_of(run) is RunState.FINISHED:
                self.outcomes[run.id] = self._outcome(run)

    def _outcome(self, run: PlannedRun) -> Outcome:
        """Make and score a run. Whatever goes wrong ends the run and not the study, errors of this program, too."""
        state = RunState.FAILED
        try:
            self._make(run)
            state = RunState.FINISHED
            found = self._scored(run)
        except _ERRORS as error:
            if self._together:
                raise
            reason = str(error)
            if not isinstance(error, CotpdError | OSError):
                logger.exception("%s", run.id)
                reason = f"a bug in cotpd ({type(error).__name__}: {error})"
            return Outcome(run, state, reason=reason)
        return Outcome(run, state, found.cells, "; ".join(found.reasons))

    def _make(self, run: PlannedRun) -> None:
        """Train a run to its end, unless it is finished. Raises `UsageError` for one that is not the planned one."""
        config, state = run.config, state_of(run)
        if state is RunState.DAMAGED:
            _refuse(run, "its config.toml cannot be read")
        if state is RunState.CHANGED:
            _refuse(run, f"made with other settings ({', '.join(changed_keys(run))})")
        corpus = self._corpora.training(config)
        if state is RunState.FINISHED:
            directory = RunDirectory(run.path)
            directory.finish()  # a kill may have come before
            if directory.data not in (None, TrainingSet.of(corpus, config).fingerprint(config)):
                _refuse(run, "made from other posts, captions, knowledge or targets")
            return
        if state is RunState.BEGUN and processes().is_main_process:
            write_atomic(run.path / "config.toml", config.to_toml())  # its files may lie elsewhere by now
        self._forecast.begin()
        self._tell(run, None)
        distill(corpus, config=config, out=run.path, resume=True, listener=lambda found: self._tell(run, found))
        self._learn_time(run)

    def _scored(self, run: PlannedRun) -> Scored:
        """The scores; of processes that make a run together the first one decodes, the others read what it wrote."""
        with processes().main_process_first():
            return scored(run, self._plan, self._corpora)

    def _learn_time(self, run: PlannedRun) -> None:
        """How long the training of a finished run took, where its summary tells."""
        try:
            summary = json.loads((run.path / "summary.json").read_text(encoding="utf-8"))
            self._forecast.learn(run.name, float(summary["seconds"]))
        except (OSError, ValueError, TypeError, KeyError):
            return

    def _tell(self, run: PlannedRun, training: Progress | None) -> None:
        if training:
            self._forecast.watch(training)
        waiting = [other.name for other in self._runs if other.id not in self.outcomes and other.id != run.id]
        left = self._forecast.seconds_left(run.name, waiting)
        failed = sum(outcome.state is RunState.FAILED for outcome in self.outcomes.values())
        done = len(self.outcomes) - failed
        self._listener(StudyProgress(run.id, done, failed, len(self._runs), left, training))


def _refuse(run: PlannedRun, why: str) -> None:
    raise UsageError(f"{run.path}: {why}, so it is not the planned run; move it away, or rename the run in the plan")


@contextmanager
def _taken(run: Path, *, shared: bool) -> Iterator[bool]:
    """Whether this process may work on a run, ``shared``: whoever else does. The lock ends with the process."""
    if shared:
        yield True
        return
    path = run.parent / "locks" / run.name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("ab")
    except OSError as error:
        raise UsageError(f"{path.parent}: cannot be written ({error.strerror}); choose another --out") from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def _flat(values: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value
