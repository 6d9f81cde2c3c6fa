"""The demonstration: two runs are trained once, compared in three views, and extract from new texts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cotpd.core.errors import UsageError
from cotpd.corpus.corpus import Corpus
from cotpd.distillation.progress import Progress
from cotpd.distillation.showcase.demo import (
    DEMO_TASKS,
    DemoCorpus,
    DemoExtractions,
    DemoRun,
    DemoScores,
    demo_run,
    run_demo,
)


@pytest.fixture(autouse=True)
def _few_examples(monkeypatch: pytest.MonkeyPatch, sample: Corpus) -> None:
    """Let the demonstration read a few examples of the sample, all with entities and relations."""
    train, dev, test = ([each for each in split if each.relations] for split in (sample.train, sample.dev, sample.test))
    few = replace(sample, train=tuple(train[:24]), dev=tuple(dev[:8]), test=tuple(test[:8]))
    monkeypatch.setattr(Corpus, "sample", lambda: few)


@pytest.mark.slow
def test_both_runs_are_trained_once_compared_and_used(tiny_encoder: Path, tmp_path: Path) -> None:
    """The test of `cotpd demo` does the same for relations."""
    progress: list[Progress] = []
    first = list(run_demo(tmp_path, encoder=str(tiny_encoder), epochs=1, listener=progress.append))
    assert [type(event) for event in first] == [DemoCorpus, DemoRun, DemoRun, DemoScores, DemoExtractions]
    assert sum(each.dev_f1 is not None for each in progress) == 2
    _, *runs, scores, extractions = first
    assert [(run.name, run.is_trained) for run in runs if isinstance(run, DemoRun)] == [
        ("baseline", False),
        ("student", False),
    ]
    assert isinstance(scores, DemoScores)
    assert list(scores.by_view) == ["baseline", "prompt", "knowledge"]
    assert scores.comparison.first == scores.by_view["prompt"].micro_f1
    assert isinstance(extractions, DemoExtractions)
    assert len(extractions.extractions) == 5
    second = run_demo(tmp_path, encoder=str(tiny_encoder), epochs=1)
    assert [event.is_trained for event in second if isinstance(event, DemoRun)] == [True, True]


def test_every_task_has_its_own_runs(tmp_path: Path) -> None:
    runs = {demo_run(tmp_path, name, task) for task in DEMO_TASKS for name in ("baseline", "student")}
    assert len(runs) == 2 * len(DEMO_TASKS)


def test_a_task_without_labels_in_the_sample_is_a_usage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(DEMO_TASKS, "relations")
    with pytest.raises(UsageError, match="no labels for relations; choose entities"):
        next(run_demo(tmp_path, task="relations"))
