"""A finished run is scored in every planned view; a score that fails does not affect the others."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from cotpd.core.errors import DataError
from cotpd.core.records import Entity, Example, Knowledge, Prediction, Span
from cotpd.corpus.corpus import Corpus
from cotpd.distillation.runs.corpora import RunCorpora
from cotpd.student.student import Student
from cotpd.studies.execution import predictions
from cotpd.studies.execution.predictions import StoredPredictions
from cotpd.studies.execution.scoring import RunScores, score_run
from cotpd.studies.plan.design import PlannedRun, PlannedScore
from cotpd.studies.plan.plan import Plan
from cotpd.studies.plan.resolution import resolve_plan
from cotpd.studies.plan.scored_view import ScoredView
from cotpd.studies.study import study
from cotpd.views.view import ViewKind

TEXT, PROMPT, KNOWLEDGE = (ScoredView.parse(text) for text in ("text", "prompt", "knowledge"))
DEV = PlannedScore("dev", PROMPT, "dev", None)


@pytest.fixture(scope="module")
def finished(write_base: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> PlannedRun:
    """A finished run of two views with prompts."""
    path = tmp_path_factory.mktemp("finished")
    write_base(path)
    (path / "plan.toml").write_text('base = "base.toml"\n[runs.both]\n', encoding="utf-8")
    plan = Plan.read(path / "plan.toml")
    assert not study(plan, out=path / "out").failures
    return resolve_plan(plan, path / "out").runs[0]


@pytest.fixture
def run(finished: PlannedRun, tmp_path: Path) -> PlannedRun:
    """A copy of the finished run, without stored predictions."""
    path = tmp_path / finished.id
    shutil.copytree(finished.path, path, ignore=shutil.ignore_patterns("predictions.*"))
    return replace(finished, path=path)


def score(run: PlannedRun, *planned: PlannedScore) -> RunScores:
    return score_run(replace(run, scores=planned), RunCorpora())


def with_settings(run: PlannedRun, table: str, **changes: Any) -> PlannedRun:
    changed = getattr(run.config, table).model_copy(update=changes)
    return replace(run, config=run.config.model_copy(update={table: changed}))


def test_a_view_removes_knowledge_that_it_does_not_read() -> None:
    example = Example("a", ("Ann",), caption=None, knowledge=(Knowledge("noun", "t", "m", "x", None, "a"),))
    assert PROMPT.select([example])[0].knowledge == ()
    assert KNOWLEDGE.select([example]) == (example,)
    assert ScoredView.parse("knowledge without noun").select([example])[0].knowledge == ()


def test_scores_count_entities_by_their_occurrence_in_training(run: PlannedRun, data: Path) -> None:
    train = PlannedScore("train", PROMPT, "train", None)
    num_entities = sum(len(example.entities) for example in Corpus.from_path(data).train)

    def supports(found: RunScores) -> dict[str, int]:
        assert not found.problems
        (one,) = found.scores
        assert one.by_training
        return {group: counts.support for group, counts in one.by_training.by_type.items() if counts.support}

    assert supports(score(run, train)) == {"labelled": num_entities}
    half = supports(score(with_settings(run, "training_set", share=0.5), train))
    assert half.keys() == {"labelled", "other"}
    assert sum(half.values()) == num_entities
    unseen = supports(score(run, DEV))["unseen"]
    assert unseen == supports(score(with_settings(run, "training_set", share=0.5), DEV))["unseen"] > 0


def test_examples_that_cannot_be_scored_do_not_affect_others(run: PlannedRun) -> None:
    missing = replace(DEV, name="missing", corpus=Path("nowhere"))
    found = score(run, DEV, missing)
    assert [one.planned.name for one in found.scores] == ["dev"]
    assert found.problems[0].startswith("could not be scored on missing: nowhere")


def test_a_corpus_from_another_captioner_or_model_cannot_be_scored_in_the_knowledge_view(
    run: PlannedRun, data: Path, other_data: Path
) -> None:
    """It is scored in the other views, and also if it has no captions and knowledge at all."""
    other = [PlannedScore("other", view, "dev", other_data) for view in (KNOWLEDGE, TEXT, PROMPT)]
    for key, file, maker in (
        ("captioner", "captions.jsonl", "captioner"),
        ("knowledge_model", "knowledge.jsonl", "model"),
    ):
        rows = [json.loads(line) for line in (data / file).read_text("utf-8").splitlines()]
        (other_data / file).write_text(
            "".join(json.dumps({**row, maker: "another"}) + "\n" for row in rows), encoding="utf-8"
        )
        chosen = with_settings(run, "corpus", **{key: rows[0][maker]})
        found = score(chosen, *other)
        assert {one.planned.view for one in found.scores} == {TEXT, PROMPT}, key
        assert rows[0][maker] in "".join(found.problems), key
        (other_data / file).unlink()
        assert not score(chosen, *other).problems, key
        shutil.copy(data / file, other_data / file)


def test_a_corpus_without_knowledge_has_no_score_in_the_knowledge_view(run: PlannedRun, other_data: Path) -> None:
    for file in ("captions.jsonl", "knowledge.jsonl"):
        (other_data / file).unlink()
    found = score(run, *(PlannedScore("other", view, "dev", other_data) for view in (KNOWLEDGE, TEXT)))
    assert ([one.planned.view for one in found.scores], found.problems) == ([TEXT], ())


def test_a_run_with_unlabelled_corpora_is_scored_on_a_corpus_from_another_model(
    run: PlannedRun, data: Path, other_data: Path, tmp_path: Path
) -> None:
    unlabelled = tmp_path / "unlabelled"
    unlabelled.mkdir()
    (unlabelled / "train.jsonl").write_bytes((data / "test.jsonl").read_bytes())
    shutil.copy(data / "knowledge.jsonl", unlabelled / "knowledge.jsonl")
    rows = [
        json.loads(line) | {"model": "another"} for line in (data / "knowledge.jsonl").read_text("utf-8").splitlines()
    ]
    (other_data / "knowledge.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    found = score(
        with_settings(run, "training_set", unlabelled=(str(unlabelled),)),
        DEV,
        replace(DEV, name="other", corpus=other_data),
    )
    assert ([one.planned.name for one in found.scores], found.problems) == (["dev", "other"], ())


def test_a_damaged_or_missing_model_is_reported(run: PlannedRun) -> None:
    (run.path / "model" / "config.json").unlink()
    found = score(run, DEV)
    assert not found.scores
    assert "config.json" in found.problems[0]


def test_running_out_of_memory_is_reported(run: PlannedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Student, "forward", fail)
    assert score(run, DEV).problems[0].startswith("could not be scored on dev: out of memory")


@pytest.fixture
def example() -> Example:
    return Example("a", ("Ann", "sings"), (Entity(Span(0, 1), "PER"),))


def test_predictions_are_stored_for_one_model(
    example: Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[str] = []

    def decode(_: Any, examples: Any, *, kind: Any) -> Any:
        decoded.append(str(kind))
        return [Prediction(one.id, one.words, one.entities) for one in examples]

    monkeypatch.setattr(predictions, "decode", decode)
    monkeypatch.setattr(predictions.checkpoint, "load", lambda _: None)
    (tmp_path / "model").mkdir()
    manifest = tmp_path / "model" / "manifest.json"
    manifest.write_text("one", encoding="utf-8")
    first = StoredPredictions(tmp_path).predict([example], ViewKind.TEXT)
    assert StoredPredictions(tmp_path).predict([example], ViewKind.TEXT) == first
    assert decoded == ["text"]
    manifest.write_text("another", encoding="utf-8")
    assert StoredPredictions(tmp_path).predict([example], ViewKind.TEXT) == first
    assert decoded == ["text", "text"], "another model predicts anew"
    stored = sorted(tmp_path.glob("predictions.text-*"))
    assert len(stored) == 2

    monkeypatch.setattr(predictions.os, "access", lambda *_: False)
    assert StoredPredictions(tmp_path).predict([example], ViewKind.PROMPT) == first
    assert not list(tmp_path.glob("predictions.prompt-*")), "nothing is written into a read-only run"

    for path in stored:
        path.write_text("{\n", encoding="utf-8")
    with pytest.raises(DataError, match="remove the file to predict again"):
        StoredPredictions(tmp_path).predict([example], ViewKind.TEXT)
