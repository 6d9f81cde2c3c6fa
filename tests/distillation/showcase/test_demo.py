"""The demonstration: two runs are trained once, compared in three views, and extract from new texts."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from cotpd.core.config import Task
from cotpd.distillation.progress import Progress
from cotpd.distillation.showcase.demo import (
    DemoCorpus,
    DemoExtractions,
    DemoRun,
    DemoScores,
    run_demo,
)


@pytest.mark.slow
def test_both_runs_are_trained_once_compared_and_used(tiny_encoder: Path, tmp_path: Path) -> None:
    for task in get_args(Task):
        progress: list[Progress] = []
        events = list(run_demo(tmp_path, encoder=str(tiny_encoder), epochs=1, task=task, listener=progress.append))
        assert [type(event) for event in events] == [DemoCorpus, DemoRun, DemoRun, DemoScores, DemoExtractions]
        assert [event.is_trained for event in events if isinstance(event, DemoRun)] == [False, False]
        assert sum(each.dev_f1 is not None for each in progress) == 2
        scores, extractions = events[-2:]
        assert isinstance(scores, DemoScores)
        assert isinstance(extractions, DemoExtractions)
        assert list(scores.by_view) == ["baseline", "prompt", "knowledge"]
        assert scores.comparison.first == scores.by_view["prompt"].micro_f1
        assert len(extractions.extractions) == 5
        again = list(run_demo(tmp_path, encoder=str(tiny_encoder), epochs=1, task=task))
        assert [event.is_trained for event in again if isinstance(event, DemoRun)] == [True, True]
    assert len(list(tmp_path.iterdir())) == 2 * len(get_args(Task))
