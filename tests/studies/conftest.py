"""A small corpus, plans over it, and made-up scores."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from cotpd.core.records import Entity, Example, Prediction, Span
from cotpd.evaluation import evaluate
from cotpd.evaluation.matching import Mode
from cotpd.studies.execution.scoring import RunScore
from cotpd.studies.plan.design import PlannedRun, PlannedScore, StudyDesign
from cotpd.studies.plan.plan import Plan
from cotpd.studies.plan.resolution import resolve_plan

ONE_VIEW = """
"objective.target" = "none"
"objective.task_loss" = "student"
"objective.alignment" = "none"
"""


@pytest.fixture
def other_data(data: Path, tmp_path: Path) -> Path:
    """A copy of the corpus that a test may change."""
    return Path(shutil.copytree(data, tmp_path / "other-data"))


@pytest.fixture
def write_plan(write_base: Callable[[Path], Path], tmp_path: Path) -> Callable[[str], Path]:
    """Write a plan, and its base next to it. ``ONE_VIEW`` in its text stands for the settings of a single view."""

    def write(text: str) -> Path:
        write_base(tmp_path)
        path = tmp_path / "plan.toml"
        path.write_text('base = "base.toml"\n' + text.replace("ONE_VIEW", ONE_VIEW), encoding="utf-8")
        return path

    return write


@pytest.fixture
def read_plan(write_plan: Callable[[str], Path]) -> Callable[[str], Plan]:
    """Read a plan from its text without the base."""
    return lambda text: Plan.read(write_plan(text))


@pytest.fixture
def resolve(read_plan: Callable[[str], Plan], tmp_path: Path) -> Callable[[str], StudyDesign]:
    """Resolve a plan from its text without the base; the runs are in the directory ``out``."""
    return lambda text: resolve_plan(read_plan(text), tmp_path / "out")


@pytest.fixture
def made_up_scores() -> Callable[..., tuple[RunScore, ...]]:
    """Make up all scores of a run: the student finds ``num_correct`` of ``num_posts`` entities."""

    def make(run: PlannedRun, num_correct: int, *, num_posts: int = 8) -> tuple[RunScore, ...]:
        return tuple(_made_up_score(run, planned, num_correct, num_posts) for planned in run.scores)

    return make


def _made_up_score(run: PlannedRun, planned: PlannedScore, num_correct: int, num_posts: int) -> RunScore:
    entity = Entity(Span(0, 1), "PER")
    examples = [Example(f"{planned.name}-{number}", ("Ann", "sings"), (entity,)) for number in range(num_posts)]
    found = {(number + run.seed) % num_posts for number in range(num_correct)}
    predictions = [
        Prediction(example.id, example.words, (entity,) if number in found else ())
        for number, example in enumerate(examples)
    ]
    scores = {mode: evaluate(predictions, examples, mode=mode) for mode in get_args(Mode)}
    return RunScore(run, planned, Path("data"), scores, None)
