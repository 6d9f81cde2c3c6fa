"""The runner trains each run once, isolates failures, and rejects runs that are not the planned ones.

Training is replaced by a function that only writes the files of a finished run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from cotpd.core.errors import TrainingError, UsageError
from cotpd.core.files import new_directory
from cotpd.distillation.training_set.selection import TrainingSet
from cotpd.studies.execution import runner
from cotpd.studies.execution.run_state import exclusive, state_of
from cotpd.studies.execution.runner import RunOutcome, execute_runs
from cotpd.studies.execution.scoring import RunScores
from cotpd.studies.plan.design import StudyDesign
from cotpd.studies.plan.plan import Plan
from cotpd.studies.plan.resolution import resolve_plan

Resolve = Callable[[str], StudyDesign]

TEXT = '[runs.text]\n"objective.student" = "text"\nONE_VIEW\n'
TAUGHT = """
[runs.target]
"objective.student" = "knowledge"
ONE_VIEW
[runs.taught]
"objective.target" = "recorded"
"objective.target_runs" = ["target"]
"objective.task_loss" = "student"
"""


class FakeTraining:
    """Stands in for `distill`. ``trained`` are the ids of the trained runs, ``errors`` what training raises by id."""

    def __init__(self) -> None:
        self.trained: list[str] = []
        self.errors: dict[str, Exception] = {}

    def __call__(self, corpus: Any, *, config: Any, out: Path, resume: bool, listener: Any) -> None:
        assert resume
        if error := self.errors.get(out.name):
            raise error
        self.trained.append(out.name)
        self.write(corpus, config, out)

    def write(self, corpus: Any, config: Any, out: Path) -> None:
        out.mkdir(parents=True, exist_ok=True)
        environment = {"data": TrainingSet.of(corpus, config).fingerprint(config)}
        (out / "environment.json").write_text(json.dumps(environment), encoding="utf-8")
        (out / "config.toml").write_text(config.to_toml(), encoding="utf-8")
        with new_directory(out / "model"):
            pass


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> FakeTraining:
    fake = FakeTraining()
    monkeypatch.setattr(runner, "distill", fake)
    monkeypatch.setattr(runner, "score_run", lambda *_: RunScores((), ()))
    return fake


def make(design: StudyDesign, **options: Any) -> tuple[RunOutcome, ...]:
    return execute_runs(design.runs, lambda _: None, **options)


def problems(outcomes: Sequence[RunOutcome]) -> dict[str, str]:
    return {outcome.run.id: outcome.problem for outcome in outcomes if outcome.problem}


def test_runs_are_trained_once_seed_by_seed(resolve: Resolve, training: FakeTraining) -> None:
    design = resolve(f"seeds = [1, 2]\n{TEXT}\n[runs.both]")
    assert not problems(make(design))
    assert training.trained == ["text-seed1", "both-seed1", "text-seed2", "both-seed2"]
    assert not problems(make(design))
    assert len(training.trained) == 4


def test_targets_and_all_their_folds_are_trained_first(resolve: Resolve, training: FakeTraining) -> None:
    design = resolve(TAUGHT.replace("[runs.target]", "[runs.target]\nfolds = 2"))
    assert not problems(make(design))
    assert training.trained == ["target-fold1-seed1", "target-fold2-seed1", "taught-seed1"]
    assert "target-fold2-seed1" in (design.runs[-1].path / "config.toml").read_text(encoding="utf-8")


def test_a_failed_run_stops_only_the_runs_that_need_it(resolve: Resolve, training: FakeTraining) -> None:
    design = resolve(TAUGHT + TEXT)
    training.errors["target-seed1"] = TrainingError("the loss is nan at update 3")
    assert problems(make(design)) == {
        "target-seed1": "the loss is nan at update 3",
        "taught-seed1": "needs target-seed1, which failed",
    }
    assert training.trained == ["text-seed1"]
    training.errors.clear()
    assert not problems(make(design))


def test_a_bug_in_training_or_scoring_ends_only_its_run(
    resolve: Resolve, training: FakeTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    design, reason = (
        resolve(TEXT + "[runs.both]"),
        "a bug in cotpd (ValueError: unexpected shape); please report it with the log",
    )
    training.errors["text-seed1"] = ValueError("unexpected shape")
    assert problems(make(design)) == {"text-seed1": reason}
    training.errors.clear()
    assert not problems(make(design))

    def fail(*_: object) -> Any:
        raise ValueError("unexpected shape")

    monkeypatch.setattr(runner, "score_run", fail)
    outcomes = make(design)
    assert problems(outcomes) == {"text-seed1": reason, "both-seed1": reason}
    assert {outcome.state.value for outcome in outcomes} == {"finished"}


def test_a_run_that_fails_here_but_finishes_in_another_process_counts_as_finished(
    resolve: Resolve, training: FakeTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    design = resolve(TEXT + "[runs.both]")
    first = design.runs[0]
    training.errors["text-seed1"] = TrainingError("the loss is nan")

    def meanwhile(corpus: Any, *, config: Any, out: Path, **options: Any) -> None:
        training(corpus, config=config, out=out, **options)
        training.write(corpus, first.config, first.path)

    monkeypatch.setattr(runner, "distill", meanwhile)
    assert not problems(make(design))


def test_only_report_trains_nothing_and_lists_pending_runs(resolve: Resolve, training: FakeTraining) -> None:
    make(resolve(TEXT))
    training.trained.clear()
    design = resolve(f"seeds = [1, 2]\n{TEXT}\n[runs.later]")
    started = next(run for run in design.runs if run.id == "text-seed2")
    started.path.mkdir()
    (started.path / "config.toml").write_text(started.config.to_toml(), encoding="utf-8")
    outcomes = make(design, only_report=True)
    assert {outcome.run.id: outcome.state.value for outcome in outcomes} == {
        "text-seed1": "finished", "later-seed1": "to do", "text-seed2": "started", "later-seed2": "to do",
    }  # fmt: skip
    assert training.trained == []


def test_a_finished_run_with_other_settings_or_examples_is_rejected(
    resolve: Resolve, write_plan: Callable[[str], Path], training: FakeTraining, other_data: Path, tmp_path: Path
) -> None:
    make(resolve(TEXT))
    training.trained.clear()
    changed = resolve(TEXT + '"optimisation.learning_rate" = 1e-3')
    assert "settings differ (optimisation.learning_rate)" in problems(make(changed))["text-seed1"]
    moved = resolve_plan(Plan.read(write_plan(TEXT), [f"corpus.path={other_data}"]), tmp_path / "out")
    assert not problems(make(moved)), "the same examples in another place are the same"
    lines = (other_data / "train.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (other_data / "train.jsonl").write_text("".join(lines[1:]), encoding="utf-8")
    assert "its examples, captions, knowledge or targets differ" in problems(make(moved))["text-seed1"]
    assert training.trained == []


def test_a_started_run_resumes_with_the_current_paths(
    resolve: Resolve, write_plan: Callable[[str], Path], training: FakeTraining, data: Path, tmp_path: Path
) -> None:
    before = resolve(TEXT).runs[0]
    before.path.mkdir(parents=True)
    (before.path / "config.toml").write_text(before.config.to_toml(), encoding="utf-8")
    moved_data = tmp_path / "moved-data"
    moved_data.symlink_to(data)
    moved = resolve_plan(Plan.read(write_plan(TEXT), [f"corpus.path={moved_data}"]), tmp_path / "out")
    training.errors["text-seed1"] = TrainingError("stopped before it writes its files")
    make(moved)
    assert str(moved_data) in (before.path / "config.toml").read_text(encoding="utf-8")


def test_damaged_files_of_a_run_are_named(resolve: Resolve, training: FakeTraining) -> None:
    design = resolve(TAUGHT + TEXT + "[runs.both]")
    make(design)
    path = {run.name: run.path for run in design.runs}
    (path["target"] / "model" / "manifest.json").write_text("{", encoding="utf-8")
    (path["text"] / "config.toml").write_text("x = [", encoding="utf-8")
    (path["both"] / "environment.json").write_text("[]", encoding="utf-8")
    training.trained.clear()
    found = problems(make(design))
    assert "target-seed1 away and train it again" in found["taught-seed1"]
    assert "config.toml cannot be read; move it away" in found["text-seed1"]
    assert "environment.json: damaged" in found["both-seed1"]
    assert training.trained == [], "a damaged run is never trained again"
    assert [state_of(run).value for run in design.runs if run.name == "text"] == ["damaged"]


def test_leftover_checkpoints_of_a_finished_run_are_removed(resolve: Resolve, training: FakeTraining) -> None:
    """As after a kill between saving the model and removing the checkpoints."""
    design = resolve(TEXT)
    make(design)
    checkpoints = design.runs[0].path / "checkpoints"
    (checkpoints / "step-1").mkdir(parents=True)
    assert not problems(make(design))
    assert not checkpoints.exists()


def test_a_study_waits_for_a_run_that_another_process_trains(
    resolve: Resolve, training: FakeTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    design = resolve(TEXT + "[runs.both]")
    other = exclusive(design.runs[0].path)
    assert other.__enter__()
    monkeypatch.setattr(runner.time, "sleep", lambda _: other.__exit__(None, None, None))
    make(design)
    assert training.trained == ["both-seed1", "text-seed1"]


def test_only_report_does_not_wait_for_another_process(
    resolve: Resolve, training: FakeTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    design = resolve(TEXT)
    finished = make(design)
    monkeypatch.setattr(runner.time, "sleep", lambda _: pytest.fail("it waits"))
    with exclusive(design.runs[0].path):
        assert make(design, only_report=True) == finished


def test_a_directory_that_cannot_be_written_is_reported(
    resolve: Resolve, training: FakeTraining, tmp_path: Path
) -> None:
    design = resolve(TEXT)
    (tmp_path / "out").touch()
    with pytest.raises(UsageError, match="choose another --out"):
        make(design)
