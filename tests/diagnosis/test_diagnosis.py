"""A diagnosis measures the failures that can occur in the training of a run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from cotpd.core.config import ExperimentConfig
from cotpd.core.errors import UsageError
from cotpd.core.records import Prediction, VariantKind
from cotpd.diagnosis import examined_run, prompts
from cotpd.diagnosis.alignment import FAILED_ALIGNMENT, MEMORISED
from cotpd.diagnosis.augmentation import HARMFUL_AUGMENTATION
from cotpd.diagnosis.diagnosis import diagnose
from cotpd.diagnosis.examined_run import ExaminedRun
from cotpd.diagnosis.finding import Finding, FindingVerdict
from cotpd.diagnosis.knowledge import UNUSED_KNOWLEDGE
from cotpd.diagnosis.learning import NOT_LEARNED
from cotpd.diagnosis.multimodal_inputs import WORSE_KNOWLEDGE_VIEW
from cotpd.diagnosis.prompts import COLLAPSED_PROMPTS
from cotpd.distillation.runs.corpora import RunCorpora
from cotpd.student.student import Student

pytestmark = pytest.mark.slow


def verdicts(findings: tuple[Finding, ...]) -> dict[str, FindingVerdict]:
    return {finding.failure: finding.verdict for finding in findings}


def measured(findings: tuple[Finding, ...]) -> set[str]:
    return {finding.failure for finding in findings if finding.verdict is not FindingVerdict.UNKNOWN}


def test_only_failures_that_fit_the_training_are_measured(finished: Path, data: Path) -> None:
    joint = diagnose(finished / "both-seed1", against=[finished / "knowledge-seed1"])
    assert len(joint) == 7
    assert verdicts(joint).keys() - measured(joint) == {HARMFUL_AUGMENTATION}
    assert measured(diagnose(finished / "knowledge-seed1", data)) == {NOT_LEARNED, UNUSED_KNOWLEDGE}
    taught = diagnose(finished / "taught-seed1", data, split="test")
    assert verdicts(taught).keys() - measured(taught) == {HARMFUL_AUGMENTATION, WORSE_KNOWLEDGE_VIEW}
    with pytest.raises(UsageError, match="give a run trained on the knowledge-enhanced view only"):
        diagnose(finished / "both-seed1", against=[finished / "taught-seed1"])


def test_a_student_that_predicts_nothing_has_not_learned_and_its_prompts_are_not_judged(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = prompts.decode

    def predict_nothing(*arguments: Any, **options: Any) -> Any:
        return [Prediction(one.id, one.words) for one in real(*arguments, **options)]

    for module in (examined_run, prompts):
        monkeypatch.setattr(module, "decode", predict_nothing)
    first, *others = diagnose(finished / "both-seed1")
    assert (first.failure, first.verdict) == (NOT_LEARNED, FindingVerdict.FOUND)
    assert verdicts(tuple(others))[COLLAPSED_PROMPTS] is FindingVerdict.UNKNOWN


def test_a_knowledge_view_that_ignores_knowledge_is_found(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A view that uses knowledge predicts nothing with the knowledge of another post."""
    run = ExaminedRun.load(finished / "both-seed1", None, "dev", RunCorpora())
    own = {example.id: example.knowledge for example in run.examples}
    for uses_knowledge in (True, False):

        def decode(_: Student, examples: Any, *, kind: Any, uses: bool = uses_knowledge) -> Any:
            is_misled = [uses and kind == "knowledge" and own.get(one.id) != one.knowledge for one in examples]
            pairs = zip(examples, is_misled, strict=True)
            return [Prediction(one.id, one.words, () if misled else one.entities) for one, misled in pairs]

        monkeypatch.setattr(examined_run, "decode", decode)
        expected = FindingVerdict.ABSENT if uses_knowledge else FindingVerdict.FOUND
        for name in ("both-seed1", "taught-seed1", "knowledge-seed1"):
            assert verdicts(diagnose(finished / name))[UNUSED_KNOWLEDGE] is expected, name


def test_a_knowledge_view_worse_than_that_of_a_specialised_run_is_found(
    finished: Path, monkeypatch: pytest.MonkeyPatch, cotpd: Callable[..., Any]
) -> None:
    """The specialised run is made perfect, and the examined one predicts nothing."""

    def decode(student: Student, examples: Any, *, kind: Any) -> Any:
        is_perfect = student.design.deployed_view == "knowledge"
        return [Prediction(one.id, one.words, one.entities if is_perfect else ()) for one in examples]

    monkeypatch.setattr(examined_run, "decode", decode)
    arguments = ("diagnose", finished / "both-seed1", "--against", finished / "knowledge-seed1")
    ended = cotpd(*arguments)
    assert ended.code == 0, ended.err
    assert f"FOUND: {WORSE_KNOWLEDGE_VIEW}" in ended.out
    assert "-100.00" in ended.out
    assert "objective.target = 'recorded'" in ended.out
    found = {row["failure"]: row["verdict"] for row in json.loads(cotpd(*arguments, "--json").out)}
    assert found[WORSE_KNOWLEDGE_VIEW] == "FOUND"


def test_a_target_that_reads_knowledge_is_not_measured_without_knowledge(
    finished: Path, data: Path, tmp_path: Path
) -> None:
    for split in ("train", "dev"):
        (tmp_path / f"{split}.jsonl").write_bytes((data / f"{split}.jsonl").read_bytes())
    for name in ("both-seed1", "taught-seed1"):
        found = diagnose(finished / name, tmp_path)
        assert measured(found).isdisjoint({FAILED_ALIGNMENT, MEMORISED, UNUSED_KNOWLEDGE}), name


def test_a_run_is_examined_after_it_was_moved(
    finished: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its config.toml has the former paths of its target runs and its corpus."""
    monkeypatch.chdir(tmp_path)
    for name in ("taught-seed1", "knowledge-seed1"):
        shutil.copytree(finished / name, tmp_path / name)
    config = tmp_path / "taught-seed1" / "config.toml"
    text = config.read_text(encoding="utf-8").replace(str(finished), "gone").replace(str(data), "gone/data")
    config.write_text(text, encoding="utf-8")
    assert text.count("gone") >= 2
    assert diagnose(Path("taught-seed1"), data) == diagnose(finished / "taught-seed1")


def test_a_substitute_for_a_missing_corpus_is_logged(
    finished: Path, data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(finished / "both-seed1", tmp_path / "run")
    config = tmp_path / "run" / "config.toml"
    config.write_text(config.read_text(encoding="utf-8").replace(str(data), "gone"), encoding="utf-8")
    shutil.copytree(data, tmp_path / "other")
    lines = (data / "train.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "other" / "train.jsonl").write_text("".join(lines[1:]), encoding="utf-8")
    for corpus, is_logged in ((data, False), (tmp_path / "other", True)):
        ExaminedRun.load(tmp_path / "run", corpus, "dev", RunCorpora())
        assert ("has other examples" in caplog.text) == is_logged


def test_a_run_taught_by_unlabelled_corpora_is_examined_without_them(
    finished: Path, tmp_path: Path, captionless: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished / "taught-seed1", run)
    saved = ExperimentConfig.of_run(run)
    assert saved.corpus
    changes = {
        "corpus": saved.corpus.model_copy(update={"captioner": "author"}),
        "training_set": saved.training_set.model_copy(update={"unlabelled": (str(tmp_path / "gone"),)}),
        "objective": saved.objective.model_copy(update={"aligned": "unlabelled"}),
    }
    (run / "config.toml").write_text(saved.model_copy(update=changes).to_toml(), encoding="utf-8")
    (run / "metrics.jsonl").unlink()
    for corpus in (None, captionless):
        found = measured(diagnose(run, corpus))
        assert MEMORISED not in found
        assert FAILED_ALIGNMENT in found


def test_a_run_with_variants_is_compared_with_one_without(finished: Path, data: Path, tmp_path: Path) -> None:
    run, corpus = tmp_path / "with-variants", Path(str(files("cotpd") / "sample"))
    shutil.copytree(finished / "knowledge-seed1", run)
    saved = ExperimentConfig.of_run(run)
    assert saved.corpus
    augmentation = saved.training_set.augmentation.model_copy(update={"kinds": (VariantKind.STYLE,)})
    changes = {
        "corpus": saved.corpus.model_copy(update={"path": corpus}),
        "training_set": saved.training_set.model_copy(update={"augmentation": augmentation}),
    }
    (run / "config.toml").write_text(saved.model_copy(update=changes).to_toml(), encoding="utf-8")
    found = {one.failure: one for one in diagnose(run, data, against=[finished / "knowledge-seed1"])}
    figures = dict(found[HARMFUL_AUGMENTATION].figures)
    assert figures["difference from a run without variants"].startswith("+0.00")


def test_a_run_that_is_not_finished_is_reported(finished: Path, tmp_path: Path, cotpd: Callable[..., Any]) -> None:
    shutil.copy(finished / "both-seed1" / "config.toml", tmp_path / "config.toml")
    ended = cotpd("diagnose", tmp_path)
    assert ended.code == 1
    assert "this run is not finished; resume it with" in ended.err
