"""Target sentiment is learned, scored, saved and distilled by the same code as the other tasks."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from cotpd.core.config import ExperimentConfig
from cotpd.core.errors import DataError
from cotpd.core.records import SENTIMENTS, Example, Span, TargetSentiment
from cotpd.corpus.corpus import Corpus
from cotpd.distillation.recipe import build_student, distill
from cotpd.distillation.targets import record_targets
from cotpd.distillation.training_batches import TrainingBatches
from cotpd.distillation.training_set.selection import TrainingSet
from cotpd.evaluation import evaluate
from cotpd.inference.extractors import load_extractor
from cotpd.inference.sentiment_extractor import SentimentExtractor

LABEL_OF = {"ann": "positive", "bob": "negative", "eve": "neutral"}


@pytest.fixture(scope="module")
def targets() -> Corpus:
    """Posts in which the name of the target decides the sentiment."""
    words = [("ann", "meets", "bob"), ("eve", "calls", "ann"), ("bob", "and", "eve", "sing")]
    posts = [_post(f"{number}", words[number % 3]) for number in range(24)]
    return Corpus(train=tuple(posts[:18]), dev=tuple(posts[18:]))


def _post(name: str, words: tuple[str, ...]) -> Example:
    found = [
        TargetSentiment(Span(place, place + 1), LABEL_OF[word]) for place, word in enumerate(words) if word in LABEL_OF
    ]
    return Example(name, words, sentiments=tuple(found))


@pytest.fixture
def config(configure: Callable[..., ExperimentConfig]) -> ExperimentConfig:
    return configure(task="sentiment", objective={"target": "text"})


def test_every_target_is_a_unit_with_its_label(targets: Corpus, config: ExperimentConfig) -> None:
    student = build_student(TrainingSet.of(targets, config), targets, config)
    batches = TrainingBatches(student, targets.train, config)
    assert student.design.labels == SENTIMENTS
    assert [unit.id for unit in batches.examples][:2] == ["0#0", "0#1"]
    assert {unit.part_of for unit in batches.examples[:2]} == {"0"}
    gold = [SENTIMENTS[batches.read([index], epoch=0).view.gold[0, 0]] for index in range(len(batches.examples))]
    assert gold == [each.label for post in targets.train for each in post.sentiments]
    recorded = record_targets(student, batches.examples[:3])
    assert {row.shape for row in recorded.values()} == {(1, 3)}


def test_targets_that_cannot_be_learned_or_scored_are_named(
    targets: Corpus, config: ExperimentConfig, tmp_path: Path
) -> None:
    student = build_student(TrainingSet.of(targets, config), targets, config)
    outside = Example("bad", ("a",), sentiments=(TargetSentiment(Span(0, 2), "neutral"),))
    unknown = Example("bad", ("a",), sentiments=(TargetSentiment(Span(0, 1), "mixed"),))
    for example, message in ((outside, "the example has 1 words"), (unknown, "unknown label 'mixed'")):
        with pytest.raises(DataError, match=f"^bad: .*{message}"):
            TrainingBatches(student, [example], config)
    with pytest.raises(DataError, match="no dev example has sentiment"):
        distill(replace(targets, dev=(Example("1", ("a",)),)), config=config, out=tmp_path / "run")


@pytest.mark.slow
def test_a_run_learns_is_saved_and_loaded_as_its_extractor(
    targets: Corpus, config: ExperimentConfig, tmp_path: Path
) -> None:
    extractor = distill(targets, config=config, out=tmp_path / "run")
    untrained = build_student(TrainingSet.of(targets, config), targets, config)
    assert not torch.equal(untrained.markers, extractor.student.markers)
    scores = evaluate(extractor, targets.dev)
    assert scores.total.predicted == scores.total.support == 12
    assert json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))["best_f1"] == scores.macro_f1
    loaded: Any = load_extractor(tmp_path / "run")
    assert isinstance(loaded, SentimentExtractor)
    assert list(loaded.predict(targets.dev)) == list(extractor.predict(targets.dev))
