"""Training and scoring of planned runs, each once, also by several processes side by side."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from cotpd.core.errors import CotpdError, UsageError
from cotpd.core.files import write_atomic
from cotpd.distillation.distributed import processes
from cotpd.distillation.progress import Progress
from cotpd.distillation.recipe import distill
from cotpd.distillation.runs.corpora import RunCorpora
from cotpd.distillation.runs.run_directory import RunDirectory
from cotpd.distillation.training_set.selection import TrainingSet
from cotpd.studies.execution.progress import Forecast, StudyListener, StudyProgress
from cotpd.studies.execution.run_state import RunState, changed_keys, exclusive, state_of
from cotpd.studies.execution.scoring import RunScore, RunScores, score_run
from cotpd.studies.plan.design import PlannedRun

logger = logging.getLogger(__name__)

_BUGS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
_RUN_ERRORS = (CotpdError, OSError, *_BUGS)
"""Errors that end a run but not the study."""

_POLL_SECONDS = 1.0
"""The interval at which to check on runs that another process trains."""


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """The result of a run. ``problem`` is the reason why it failed or why some scores are missing."""

    run: PlannedRun
    state: RunState
    scores: tuple[RunScore, ...] = ()
    problem: str = ""


def execute_runs(
    runs: Sequence[PlannedRun], listener: StudyListener, *, only_report: bool = False
) -> tuple[RunOutcome, ...]:
    """Train and score all runs that are not finished.

    Several processes may work on the same study: each run is trained by the process that locks it first, and all
    processes return the same outcomes. Under `accelerate launch`, the processes train each run together, and a failure
    ends the study.

    Args:
        runs: The runs, each after those that it needs.
        listener: Called whenever the progress changes.
        only_report: Train nothing and score the finished runs.
    """
    execution = _Execution(runs, listener, only_report=only_report)
    while pending := [run for run in runs if run.id not in execution.outcomes]:
        if not any(execution.attempt(run) for run in pending):
            time.sleep(_POLL_SECONDS)
    execution.adopt_finished_runs()
    return tuple(execution.outcomes[run.id] for run in runs)


class _Execution:
    """The state of one execution of a study."""

    def __init__(self, runs: Sequence[PlannedRun], listener: StudyListener, *, only_report: bool) -> None:
        self.outcomes: dict[str, RunOutcome] = {}
        self._runs, self._listener, self._only_report = runs, listener, only_report
        self._corpora = RunCorpora()
        self._is_distributed = processes().num_processes > 1
        self._forecast = Forecast()
        for run in runs:
            if state_of(run) is RunState.FINISHED:
                self._record_duration(run)

    def attempt(self, run: PlannedRun) -> bool:
        """Complete a run; return False if a run that it needs is not ready, or if another process works on it."""
        if self._only_report and (state := state_of(run)).is_pending:
            self.outcomes[run.id] = RunOutcome(run, state)
            return True
        needed = [] if self._only_report else [self.outcomes.get(name) for name in run.needs]
        if failed := [outcome.run.id for outcome in needed if outcome and outcome.state is not RunState.FINISHED]:
            self.outcomes[run.id] = RunOutcome(run, RunState.FAILED, problem=f"needs {failed[0]}, which failed")
            return True
        if None in needed:
            return False
        is_shared = self._is_distributed or self._only_report
        with nullcontext(True) if is_shared else exclusive(run.path) as is_available:
            if is_available:
                self.outcomes[run.id] = self._complete(run)
        return is_available

    def adopt_finished_runs(self) -> None:
        """Score runs that failed in this process but that another process has finished."""
        for run in self._runs:
            if self.outcomes[run.id].state is RunState.FAILED and state_of(run) is RunState.FINISHED:
                self.outcomes[run.id] = self._complete(run)

    def _complete(self, run: PlannedRun) -> RunOutcome:
        """Train and score a run. Any error, including a bug of this package, ends only this run."""
        state, scored = RunState.FAILED, RunScores((), ())
        try:
            self._train(run)
            state = RunState.FINISHED
            scored = self._score(run)
        except _RUN_ERRORS as error:
            if self._is_distributed:
                raise
            problem = str(error)
            if not isinstance(error, CotpdError | OSError):
                logger.exception("run %s failed", run.id)
                problem = f"a bug in cotpd ({type(error).__name__}: {error}); please report it with the log"
            return RunOutcome(run, state, problem=problem)
        return RunOutcome(run, state, scored.scores, "; ".join(scored.problems))

    def _train(self, run: PlannedRun) -> None:
        """Train a run to its end. If it is finished, check that it is the planned one."""
        state = state_of(run)
        if state is RunState.DAMAGED:
            _reject(run, "its config.toml cannot be read")
        if state is RunState.CHANGED:
            _reject(run, f"its settings differ ({', '.join(changed_keys(run))})")
        corpus = self._corpora.training(run.config)
        if state is RunState.FINISHED:
            directory = RunDirectory(run.path)
            directory.finish()  # remove what a killed process may have left
            if directory.data not in (None, TrainingSet.of(corpus, run.config).fingerprint(run.config)):
                _reject(run, "its examples, captions, knowledge or targets differ")
            return
        if state is RunState.STARTED and processes().is_main_process:
            write_atomic(run.path / "config.toml", run.config.to_toml())  # corpora and targets may have moved
        self._forecast.start_run()
        self._report_progress(run, None)
        distill(
            corpus,
            config=run.config,
            out=run.path,
            resume=True,
            listener=lambda training: self._report_progress(run, training),
        )
        self._record_duration(run)

    def _score(self, run: PlannedRun) -> RunScores:
        """Score a run. The main process predicts first, and other processes read its predictions."""
        with processes().main_process_first():
            return score_run(run, self._corpora)

    def _record_duration(self, run: PlannedRun) -> None:
        try:
            summary = json.loads((run.path / "summary.json").read_text(encoding="utf-8"))
            self._forecast.record_duration(run.name, float(summary["seconds"]))
        except (OSError, ValueError, TypeError, KeyError):
            return  # only the estimate of the time left needs it

    def _report_progress(self, run: PlannedRun, training: Progress | None) -> None:
        if training:
            self._forecast.update(training)
        waiting = [other.name for other in self._runs if other.id not in self.outcomes and other.id != run.id]
        left = self._forecast.seconds_left(run.name, waiting)
        num_failed = sum(outcome.state is RunState.FAILED for outcome in self.outcomes.values())
        num_done = len(self.outcomes) - num_failed
        self._listener(StudyProgress(run.id, num_done, num_failed, len(self._runs), left, training))


def _reject(run: PlannedRun, difference: str) -> None:
    raise UsageError(f"{run.path} is not the planned run: {difference}; move it away, or rename the run in the plan")
