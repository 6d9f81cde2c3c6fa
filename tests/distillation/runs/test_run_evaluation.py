"""The evaluation of finished runs: how the corpus is read, what is compared, and what cannot be scored."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest

from cotpd import evaluate_run
from cotpd.core.config import ExperimentConfig
from cotpd.core.errors import CheckpointError, CotpdError, DataError, UsageError
from cotpd.corpus.corpus import Corpus
from cotpd.evaluation import evaluate
from cotpd.inference.decoding import decode
from cotpd.student import checkpoint
from cotpd.views.view import ViewKind


@pytest.fixture(scope="session")
def data(sample_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first examples of each split of the sample, with captions and knowledge. Do not change it."""
    path = tmp_path_factory.mktemp("data")
    for split in ("train", "dev", "test"):
        lines = (sample_path / f"{split}.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
        (path / f"{split}.jsonl").write_text("".join(lines[:8]), encoding="utf-8")
    for name in ("captions.jsonl", "knowledge.jsonl"):
        shutil.copy(sample_path / name, path)
    return path


@pytest.fixture
def bare(data: Path, tmp_path: Path) -> Path:
    """The test examples without captions and knowledge."""
    (tmp_path / "bare").mkdir()
    shutil.copy(data / "test.jsonl", tmp_path / "bare")
    return tmp_path / "bare"


def copy_run(run: Path, to: Path, **corpus: Any) -> Path:
    """Copy a run, and change how it reads its corpus."""
    shutil.copytree(run, to)
    config = ExperimentConfig.of({"corpus": {"path": "nowhere", "label_map": {"MISC": "ORG"}, **corpus}})
    (to / "config.toml").write_text(config.to_toml(), encoding="utf-8")
    return to


def test_each_view_is_scored_on_the_corpus_as_the_run_reads_it(
    finished_run: Path, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dev = Corpus.from_path(data, label_map={"MISC": "ORG"}).dev
    student = checkpoint.load(finished_run / "model")
    for view in ("prompt", "text", "knowledge"):
        caplog.clear()
        with caplog.at_level(logging.INFO):
            report = evaluate_run(finished_run, data, split="dev", view=view)
        assert report.scores.by_type == evaluate(decode(student, dev, kind=ViewKind(view)), dev).by_type
        assert report.facts == {"run": str(finished_run), "data": f"{data} (dev)", "view": view}
        cut = f"knowledge was cut to 24 pieces in {len(dev)} of {len(dev)} examples"
        assert (cut in caplog.text) is (view == "knowledge")
    assert evaluate_run(finished_run, data, split="dev").facts["view"] == "prompt"


def test_the_corpus_of_the_run_is_the_default(finished_run: Path, data: Path, tmp_path: Path) -> None:
    run = copy_run(finished_run, tmp_path / "run", path=str(data))
    report = evaluate_run(run)
    assert report.facts["data"] == f"{data} (dev)"
    assert report.scores.by_type == evaluate_run(finished_run, data).scores.by_type
    with pytest.raises(UsageError, match="give the corpus to score on"):
        evaluate_run(shutil.copytree(run / "model", tmp_path / "alone"))


def test_run_settings_apply_only_to_its_own_model_directory(
    text_run: Path, data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    evaluate_run(text_run / "model", data)
    assert "does not know" not in caplog.text
    moved = shutil.copytree(text_run / "model", tmp_path / "moved" / "m")
    (tmp_path / "moved" / "config.toml").write_text("title = 1\n")
    evaluate_run(moved, data)
    assert "gold entities have labels that the student does not know: MISC" in caplog.text


def test_a_single_file_needs_no_split(text_run: Path, tmp_path: Path) -> None:
    file = tmp_path / "held-out.jsonl"
    file.write_text('{"id": "1", "words": ["Ann"], "entities": [{"start": 0, "end": 1, "label": "PER"}]}\n')
    assert evaluate_run(text_run, file).facts["data"] == f"{file} (unsplit)"


def test_captions_and_knowledge_may_be_missing_if_the_run_names_captioner_and_model(
    text_run: Path, data: Path, tmp_path: Path
) -> None:
    """A study scores its runs in the same way."""
    for key, present in (("knowledge_model", "captions.jsonl"), ("captioner", "knowledge.jsonl")):
        run = copy_run(text_run, tmp_path / f"run-{key}", **{key: "some"})
        corpus = tmp_path / key
        corpus.mkdir()
        for name in ("test.jsonl", present):
            shutil.copy(data / name, corpus)
        assert evaluate_run(run, corpus, view="knowledge").facts["view"] == "knowledge"
        (corpus / present).unlink()
        assert evaluate_run(run, corpus, view="text").scores.total.support


def test_broken_tags_count_as_in_training(text_run: Path, tmp_path: Path) -> None:
    """With repair = "drop", training and the default score mode ignore the same gold entities."""
    tags = "IMGID:1\nAnn\tB-PER\nsaw\tO\nOslo\tI-LOC\n\nIMGID:2\nRome\tB-LOC\n\n"
    (tmp_path / "test.txt").write_text(tags, encoding="utf-8")
    run = copy_run(text_run, tmp_path / "run", repair="drop")
    found = {
        (report.scores.mode, report.scores.total.support)
        for report in (evaluate_run(run, tmp_path / "test.txt"), evaluate_run(text_run, tmp_path / "test.txt"))
    }
    assert found == {("strict", 2), ("conlleval", 3)}
    assert evaluate_run(run, tmp_path / "test.txt", mode="conlleval").scores.total.support == 3


def test_a_comparison_scores_the_other_run_in_its_deployed_view(finished_run: Path, text_run: Path, data: Path) -> None:
    report = evaluate_run(finished_run, data, view="knowledge", against=text_run)
    assert (report.against["run"], report.against["view"]) == (str(text_run), "text")
    assert report.comparison
    assert report.comparison.second == evaluate_run(text_run, data).scores.micro_f1
    same = evaluate_run(text_run, data, against=text_run).to_dict()["against"]
    assert (same["difference"], same["p_bootstrap"], same["num_differing"]) == (0.0, 1.0, 0)


def test_runs_of_relations_are_compared_on_the_same_pairs(
    relation_run: Path, finished_run: Path, tmp_path: Path
) -> None:
    line = {"token": ["Ann", "left", "Oslo"], "h": {"name": "Ann", "pos": [0, 1]}, "t": {"name": "Oslo", "pos": [2, 3]}}
    line |= {"relation": "None", "img_id": "i"}
    (tmp_path / "mnre_dev.txt").write_text(f"{line}\n", encoding="utf-8")
    report = evaluate_run(relation_run, tmp_path, entities_from=finished_run, against=relation_run)
    assert report.facts["pairs"] == f"of entities found by {finished_run}"
    assert report.to_dict()["against"]["num_differing"] == 0
    report = evaluate_run(relation_run, tmp_path, all_pairs=True)
    assert report.facts["pairs"] == "of gold entities"
    assert report.to_dict()["pairs"]["unknown"]["pairs"] == 1


def test_runs_of_two_tasks_are_rejected_before_anything_is_predicted(
    relation_run: Path, finished_run: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("cotpd.inference.student_evaluation.decode")
    with pytest.raises(UsageError, match="compare runs of the same task"):
        evaluate_run(relation_run, data, against=finished_run)


def test_only_labels_of_the_task_are_checked_against_the_student(
    relation_run: Path, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    evaluate_run(relation_run, data, split="train")
    assert "gold relations have labels that the student does not know: /" in caplog.text
    assert "MISC" not in caplog.text


def test_examples_without_gold_or_knowledge_are_counted_in_a_warning(
    text_run: Path, data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [{"id": "1", "words": ["a"], "image": "1"}, {"id": "2", "words": ["b"], "image": "2"}]
    (tmp_path / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "captions.jsonl").write_text('{"image_id": "1", "text": "a cup"}\n')
    evaluate_run(text_run, tmp_path, view="knowledge")
    assert "1 of 2 examples have none of caption, noun, sentence, multimodality" in caplog.text
    assert "these examples have no gold entities" in caplog.text


def test_unscorable_input_is_an_error_with_its_reason(
    finished_run: Path, text_run: Path, relation_run: Path, bare: Path, tmp_path: Path
) -> None:
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "config.toml").touch()
    cases: list[tuple[type[CotpdError], str, tuple[Path, Path], dict[str, Any]]] = [
        (DataError, "none of the 8 examples has any of caption", (finished_run, bare), {"view": "knowledge"}),
        (DataError, "no dev examples; choose the split from test", (finished_run, bare), {"split": "dev"}),
        (DataError, "no such file", (finished_run, bare / "nowhere"), {}),
        (UsageError, "trained without prompts", (text_run, bare), {"view": "prompt"}),
        (UsageError, "unknown view 'image'; choose one of text", (text_run, bare), {"view": "image"}),
        (UsageError, "exclude each other", (relation_run, bare), {"entities_from": text_run, "all_pairs": True}),
        (UsageError, "trained on relations, got", (finished_run, bare), {"all_pairs": True}),
        (UsageError, "trained on relations, got", (finished_run, bare), {"entities_from": finished_run}),
        (UsageError, "trained on entities, got", (relation_run, bare), {"entities_from": relation_run}),
        (CheckpointError, "not finished", (tmp_path / "begun", bare), {}),
        (CheckpointError, "no model here", (tmp_path / "nowhere", bare), {}),
    ]
    for error, message, arguments, options in cases:
        with pytest.raises(error, match=message):
            evaluate_run(*arguments, **options)
