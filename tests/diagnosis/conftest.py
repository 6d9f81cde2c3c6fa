"""Finished runs over a small corpus."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cotpd.student import checkpoint
from cotpd.student.student import Student
from cotpd.studies.plan.plan import Plan
from cotpd.studies.study import study

PLAN = """
base = "base.toml"
[runs.both]
[runs.knowledge]
"objective.student" = "knowledge"
"objective.target" = "none"
"objective.task_loss" = "student"
"objective.alignment" = "none"
[runs.taught]
"objective.target" = "recorded"
"objective.target_runs" = ["knowledge"]
"objective.task_loss" = "student"
"""


@pytest.fixture(scope="session")
def finished(write_base: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a joint run, a knowledge-only run and a two-stage run."""
    path = tmp_path_factory.mktemp("finished")
    write_base(path)
    (path / "plan.toml").write_text(PLAN, encoding="utf-8")
    assert not study(Plan.read(path / "plan.toml"), out=path).failures
    return path


@pytest.fixture
def student(finished: Path) -> Student:
    """The student of the joint run, with a head that predicts many entities."""
    loaded = checkpoint.load(finished / "both-seed1" / "model")
    with torch.random.fork_rng():
        torch.manual_seed(1)
        torch.nn.init.normal_(loaded.head.project.weight, std=10.0)
    return loaded


@pytest.fixture
def captionless(data: Path, tmp_path: Path) -> Path:
    """A copy of the corpus with knowledge but without captions."""
    path = tmp_path / "captionless"
    shutil.copytree(data, path, ignore=shutil.ignore_patterns("captions.jsonl"))
    return path
