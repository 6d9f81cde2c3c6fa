"""`cotpd evaluate` scores what the student predicts, says in which view and mode, and refuses what it cannot score."""

import json
import shutil
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import torch

from cotpd.core.config import ExperimentConfig, ViewConfig
from cotpd.corpus.corpus import Corpus
from cotpd.evaluation import evaluate
from cotpd.inference.decoding import decode
from cotpd.student import checkpoint
from cotpd.student.design import Design, PromptDesign
from cotpd.student.encoder import TextEncoder
from cotpd.student.student import Student
from cotpd.views.view import ViewKind

Cotpd = Callable[..., Any]


@pytest.fixture(scope="module")
def runs(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two finished runs of tiny random students: `prompt` and `text` are the views they ship."""
    path = tmp_path_factory.mktemp("runs")
    for ships in (ViewKind.PROMPT, ViewKind.TEXT):
        checkpoint.save(_student(tiny_encoder, ships), path / ships / "model")
        config = ExperimentConfig.of({"data": {"path": "nowhere", "label_map": {"MISC": "ORG"}}})
        (path / ships / "config.toml").write_text(config.to_toml(), encoding="utf-8")
    return path


def _student(encoder_path: Path, ships: ViewKind) -> Student:
    encoder, tokenizer = TextEncoder.from_pretrained(str(encoder_path))
    prompt = PromptDesign(heads=2, length=3) if ships is ViewKind.PROMPT else None
    design = Design("entities", ("LOC", "ORG", "PER"), ships, prompt, ViewConfig(knowledge_pieces=24))
    with torch.random.fork_rng():
        torch.manual_seed(len(ships))
        student = Student(encoder, tokenizer, design)
        torch.nn.init.normal_(student.head.project.weight, std=0.8)
    return student.eval()


@pytest.fixture
def data() -> Path:
    """The directory of the embedded sample."""
    return Path(str(files("cotpd") / "sample"))


@pytest.fixture
def corpus(data: Path, tmp_path: Path) -> Path:
    """The sample's test posts without anything beside them."""
    (tmp_path / "corpus").mkdir()
    shutil.copy(data / "test.jsonl", tmp_path / "corpus")
    return tmp_path / "corpus"


@pytest.mark.parametrize("view", [None, *ViewKind])
def test_it_scores_what_the_one_decode_path_predicts(view: str | None, runs: Path, data: Path, cotpd: Cotpd) -> None:
    asked = ["--view", view] if view else []
    outcome = cotpd("evaluate", runs / "prompt", data, "--split", "dev", "--json", *asked)
    assert outcome.code == 0, outcome.err
    dev = Corpus.from_path(data, label_map={"MISC": "ORG"}).dev
    predictions = decode(checkpoint.load(runs / "prompt" / "model"), dev, kind=ViewKind(view or "prompt"))
    expected = evaluate(predictions, dev)
    cut = f"knowledge is cut to 24 pieces at most in {len(dev)} of {len(dev)} posts"
    assert (cut in outcome.err) is (view == "knowledge")
    assert expected.total.predicted > 10
    values = json.loads(outcome.out)
    assert (values["view"], values["micro"], values["types"]) == (
        view or "prompt",
        expected.total.to_dict(),
        {name: counts.to_dict() for name, counts in expected.by_type.items()},
    )


def test_the_table_names_run_data_view_and_mode(runs: Path, data: Path, cotpd: Cotpd) -> None:
    outcome = cotpd("evaluate", runs / "text" / "model", data, "--mode", "strict")
    for part in ("view  text", f"data  {data} (test)", "mode strict (", "entities unseen in training"):
        assert part in outcome.out
    assert "never learnt" not in outcome.err, "the run's label map was not found beside its model directory"


def test_a_comparison_takes_the_other_run_in_the_view_it_ships(
    runs: Path, data: Path, tmp_path: Path, cotpd: Cotpd
) -> None:
    out = tmp_path / "deep" / "scores.json"
    arguments = ("evaluate", runs / "prompt", data, "--view", "knowledge", "--against", runs / "text", "--out", out)
    outcome = cotpd(*arguments)
    assert "difference" in outcome.out
    compared = json.loads(out.read_text(encoding="utf-8"))["against"]
    assert (compared["run"], compared["view"]) == (str(runs / "text"), "text")
    alone = json.loads(cotpd("evaluate", runs / "text", data, "--json").out)
    assert compared["second"] == alone["micro"]["f1"]


def test_scores_that_cannot_be_written_are_shown(runs: Path, corpus: Path, tmp_path: Path, cotpd: Cotpd) -> None:
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "scores.json"
    outcome = cotpd("evaluate", runs / "text", corpus, "--json", "--out", out)
    assert (outcome.code, json.loads(outcome.out)["view"]) == (2, "text")
    assert f"error: {out}: cannot be written" in outcome.err


def test_a_run_does_not_differ_from_itself(runs: Path, corpus: Path, cotpd: Cotpd) -> None:
    values = json.loads(cotpd("evaluate", runs / "text", corpus, "--against", runs / "text", "--json").out)["against"]
    assert (values["difference"], values["p_bootstrap"], values["num_differing"]) == (0.0, 1.0, 0)


@pytest.mark.parametrize(("key", "there"), [("knowledge_model", "captions.jsonl"), ("captioner", "knowledge.jsonl")])
def test_posts_without_knowledge_or_captions_are_read_by_a_run_that_names_who_made_them(
    key: str, there: str, runs: Path, data: Path, tmp_path: Path, cotpd: Cotpd
) -> None:
    """As a study scores them, whose report names this command."""
    shutil.copytree(runs / "text", tmp_path / "run")
    config = tmp_path / "run" / "config.toml"
    named = config.read_text(encoding="utf-8").replace("[data]\n", f'[data]\n{key} = "some"\n')
    config.write_text(named, encoding="utf-8")
    (tmp_path / "half").mkdir()
    for name in ("test.jsonl", there):
        shutil.copy(data / name, tmp_path / "half")
    outcome = cotpd("evaluate", tmp_path / "run", tmp_path / "half", "--view", "knowledge")
    assert outcome.code == 0, outcome.err


def test_posts_without_what_the_student_reads_of_knowledge_are_refused(
    runs: Path, data: Path, tmp_path: Path, cotpd: Cotpd
) -> None:
    """Captions are no noun: what is scored would be the text view under another name."""
    shutil.copytree(runs / "text", tmp_path / "run")
    student = checkpoint.load(tmp_path / "run" / "model")
    student.design = student.design._replace(views=ViewConfig(parts=("noun",)))
    shutil.rmtree(tmp_path / "run" / "model")
    checkpoint.save(student, tmp_path / "run" / "model")
    (tmp_path / "half").mkdir()
    for name in ("test.jsonl", "captions.jsonl"):
        shutil.copy(data / name, tmp_path / "half")
    outcome = cotpd("evaluate", tmp_path / "run", tmp_path / "half", "--view", "knowledge")
    assert (outcome.code, outcome.out) == (5, "")
    assert "any of noun" in outcome.err


def test_a_moved_model_is_not_read_by_what_lies_above_it(
    runs: Path, corpus: Path, tmp_path: Path, cotpd: Cotpd
) -> None:
    shutil.copytree(runs / "text" / "model", tmp_path / "moved" / "m")
    (tmp_path / "moved" / "config.toml").write_text("title = 1\n")
    assert cotpd("evaluate", tmp_path / "moved" / "m", corpus).code == 0


def test_one_file_needs_no_split_and_foreign_types_are_named(
    runs: Path, corpus: Path, tmp_path: Path, cotpd: Cotpd
) -> None:
    shutil.copytree(runs / "text" / "model", tmp_path / "lonely")
    outcome = cotpd("evaluate", tmp_path / "lonely", (corpus / "test.jsonl").rename(corpus / "held-out.jsonl"))
    assert outcome.code == 0, outcome.err
    assert "never learnt: MISC" in outcome.err


def test_what_cannot_be_scored_ends_with_one_line_and_its_code(
    runs: Path, corpus: Path, tmp_path: Path, cotpd: Cotpd
) -> None:
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "config.toml").touch()
    for code, message, arguments in (
        (5, "the knowledge view needs captions.jsonl", (runs / "prompt", corpus, "--view", "knowledge")),
        (5, "no dev posts; there are test", (runs / "prompt", corpus, "--split", "dev")),
        (5, "no such file", (runs / "prompt", corpus / "nowhere")),
        (2, "trained without prompts", (runs / "text", corpus, "--view", "prompt")),
        (2, "'lenient' is not one of", (runs / "text", corpus, "--mode", "lenient")),
        (2, "a directory; --out takes", (runs / "text", corpus, "--out", tmp_path)),
        (1, "not finished", (tmp_path / "begun", corpus)),
        (1, "no model here", (tmp_path / "nowhere", corpus)),
    ):
        outcome = cotpd("evaluate", *arguments)
        assert (outcome.code, outcome.out) == (code, "")
        assert message in outcome.err
        assert outcome.err.count("\n") == 1
