"""A study from end to end: runs are trained, scored, compared and reported, and a killed study resumes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError

from cotpd.distillation import recipe, targets
from cotpd.student import weight_file
from cotpd.studies.plan.plan import Plan
from cotpd.studies.report.verdict import remarks, verdict_of
from cotpd.studies.study import study

ReadPlan = Callable[[str], Plan]

TEXT = '[runs.text]\n"objective.student" = "text"\nONE_VIEW\n'
TWO_VIEWS = f"""
baseline = "text"
{TEXT}
[runs.both]
note = "two views"
[scores.dev]
views = ["text", "prompt", "knowledge", "knowledge without caption"]
[scores.test]
split = "test"
[[comparisons]]
run = {{ "both@knowledge" = ["dev", "test"] }}
baseline = {{ "text" = ["dev", "test"] }}
"""


@pytest.mark.slow
def test_a_study_is_trained_once_and_its_commands_reproduce_its_figures(
    read_plan: ReadPlan, tmp_path: Path, cotpd: Callable[..., Any]
) -> None:
    plan, out = read_plan(TWO_VIEWS), tmp_path / "out"
    results = study(plan, out=out, command="cotpd study plan.toml")
    assert not results.failures
    rows = {(row.run, row.score, row.view): row for row in results.rows}
    views = {view for run, score, view in rows if (run, score) == ("both", "dev")}
    assert views == {"text", "prompt", "knowledge", "knowledge without caption"}
    assert ("text", "dev", "prompt") not in rows, "a student without prompts has no prompt-enhanced view"
    assert ("both", "test", "knowledge") in rows, "a view that is compared is scored"
    pooled, implied = results.compared
    assert (pooled.on, pooled.num_posts, implied.name) == ("dev + test", 20, "both − text")

    reports = {name: (out / f"report.{name}").read_text(encoding="utf-8") for name in ("json", "md", "html")}
    as_json = json.loads(reports["json"])
    assert as_json["compared"][0]["verdict"] == verdict_of(pooled).value
    assert as_json["compared"][0]["remarks"] == remarks(pooled)
    assert all("both − text" in text for text in reports.values())

    models = {path: path.stat().st_mtime_ns for path in out.glob("*/model/*")}
    assert study(plan, out=out, command="cotpd study plan.toml") == results
    assert {name: (out / f"report.{name}").read_text(encoding="utf-8") for name in reports} == reports
    assert {path: path.stat().st_mtime_ns for path in out.glob("*/model/*")} == models

    for row in (row for row in results.rows if "without" not in row.view):
        ended = cotpd(*row.commands[0].split()[1:], "--json")
        assert ended.code == 0, ended.err
        assert json.loads(ended.out)["micro"]["f1"] == row.values[1], row.commands[0]


_KILLED = """
import os, signal, sys
from pathlib import Path
from cotpd.distillation import trainer
from cotpd.distillation.trainer import Trainer
from cotpd.studies.plan.plan import Plan
from cotpd.studies.study import study

trainer.CHECKPOINT_STEPS = 1
real = Trainer._update
def update(self, step):
    if self._run.path.name == "both-seed1" and self._state.step == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self, step)
Trainer._update = update
study(Plan.read(Path(sys.argv[1])), out=Path(sys.argv[2]))
"""


@pytest.mark.slow
def test_a_killed_study_resumes_at_the_interrupted_update(
    write_plan: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, out = write_plan(f"{TEXT}\n[runs.both]"), tmp_path / "out"
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(path), str(out)], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    model = out / "text-seed1" / "model"
    before = {file: file.stat().st_mtime_ns for file in model.iterdir()}
    updates: list[tuple[str, int]] = []
    real = recipe.Trainer._update

    def update(self: Any, step: Any) -> Any:
        updates.append((self._run.path.name, self._state.step))
        return real(self, step)

    monkeypatch.setattr(recipe.Trainer, "_update", update)
    assert not study(Plan.read(path), out=out).failures
    assert updates == [("both-seed1", 2)]
    assert {file: file.stat().st_mtime_ns for file in model.iterdir()} == before


@pytest.mark.slow
def test_a_student_learns_from_the_folds_of_its_target(read_plan: ReadPlan, tmp_path: Path) -> None:
    plan = read_plan(
        """
        [runs.student]
        "objective.target" = "recorded"
        "objective.target_runs" = ["target"]
        "objective.task_loss" = "student"
        [runs.target]
        folds = 2
        "objective.student" = "knowledge"
        ONE_VIEW
        """
    )
    results = study(plan, out=tmp_path / "out")
    assert not results.failures
    assert {row.run for row in results.rows} == {"student"}, "runs with folds are not scored"


@pytest.mark.slow
def test_a_full_disk_or_exhausted_memory_fails_only_one_run(
    read_plan: ReadPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = read_plan(
        f"""
        [runs.target]
        "objective.student" = "knowledge"
        ONE_VIEW
        [runs.taught]
        "objective.target" = "recorded"
        "objective.target_runs" = ["target"]
        "objective.task_loss" = "student"
        {TEXT}
        [runs.large]
        "objective.weight" = 2
        """
    )
    save, update = weight_file.save_file, recipe.Trainer._update

    def save_to_full_disk(tensors: Any, path: Path, **options: Any) -> None:
        if "text-seed1" in str(path):
            raise SafetensorError("I/O error: No space left on device (os error 28)")
        save(tensors, path, **options)

    def update_large(self: Any, step: Any) -> Any:
        if self._run.path.name == "large-seed1":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return update(self, step)

    def fail_to_record(*_: object, **__: object) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(weight_file, "save_file", save_to_full_disk)
    monkeypatch.setattr(recipe.Trainer, "_update", update_large)
    monkeypatch.setattr(targets, "in_precision", fail_to_record)
    failures = study(plan, out=tmp_path / "out").failures
    assert "No space left" in failures["text-seed1"]
    assert failures["large-seed1"].startswith("out of memory; lower")
    assert "out of memory" in failures["taught-seed1"]
    assert "target-seed1" not in failures


@pytest.mark.slow
def test_the_command_prints_states_reports_and_failures(
    write_plan: Callable[[str], Path], tmp_path: Path, cotpd: Callable[..., Any]
) -> None:
    path, out = write_plan('[runs.good]\n[runs.bad]\n"student.encoder" = "nowhere/"\n'), tmp_path / "out"
    before = cotpd("study", path, "--out", out, "--dry-run")
    assert (before.code, before.out.splitlines()[-1]) == (0, "2 runs: 2 to do")
    assert not out.exists()
    for change in ("corpus.path=nowhere", 'training_set.unlabelled=["nowhere"]'):
        missing = cotpd("study", path, "--out", out, "--dry-run", "--set", change)
        assert "not found: nowhere; " in missing.out
    ended = cotpd("study", path, "--out", out)
    assert ended.code == 1
    assert "| good | prompt (deployed) |" in ended.out
    assert "error: 1 failed; the first is bad-seed1" in ended.err
    assert "run 1 of 2" in ended.err
    assert f"\nreport with plots: {out / 'report.html'}\n" in ended.err, "lines of a log are not wrapped"
    assert (out / "report.html").is_file()
    (out / "report.html").unlink()
    (out / "report.html").mkdir()
    unwritten = cotpd("study", path, "--out", out)
    assert "| good | prompt (deployed) |" in unwritten.out
    assert f"- report.html: {out / 'report.html'}: cannot be written (Is a directory)" in unwritten.out
    after = cotpd("study", path, "--out", out, "--dry-run", "--json")
    assert '"good-seed1": {"state": "finished"' in after.out
