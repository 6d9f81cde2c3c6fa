"""The embedded sample corpus, by its name instead of a path, for every verb that reads a corpus."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cotpd.testing.fake_server import deterministic_reply

Cotpd = Callable[..., Any]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_verbs_that_read_a_corpus_know_its_name(tmp_path: Path, cotpd: Cotpd, sample_path: Path) -> None:
    assert json.loads(cotpd("check", "sample", "--json").out) == json.loads(cotpd("check", sample_path, "--json").out)
    assert json.loads(cotpd("show", "sample", "test-001", "--json").out)["knowledge"]
    assert cotpd("convert", "sample", "out", "--to", "jsonl").code == 0
    names = {"train.jsonl", "dev.jsonl", "test.jsonl", "captions.jsonl", "knowledge.jsonl", "augmented.jsonl"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names


def test_a_local_directory_of_the_same_name_comes_first(tmp_path: Path, cotpd: Cotpd, sample_path: Path) -> None:
    (tmp_path / "sample").mkdir()
    shutil.copy(sample_path / "test.jsonl", tmp_path / "sample")
    assert list(json.loads(cotpd("check", "sample", "--json").out)["statistics"]["splits"]) == ["test"]


def test_answers_about_the_sample_go_to_the_working_directory(
    tmp_path: Path, cotpd: Cotpd, chat_server: Any, sample_path: Path
) -> None:
    chat_server.script = deterministic_reply
    before = {path.name: path.read_bytes() for path in sample_path.iterdir() if path.is_file()}
    for corpus in ("sample", sample_path):
        options = ("--model", "m", "--base-url", chat_server.url, "--limit", 1, "--max-rejected", 1)
        for verb in ("elicit", "augment"):
            outcome = cotpd(verb, corpus, *options)
            assert outcome.code == 0, outcome.err
    written = {path.name for path in tmp_path.iterdir()}
    assert {"knowledge.jsonl", "augmented.rejections.jsonl", "requests.sqlite"} <= written
    assert {path.name: path.read_bytes() for path in sample_path.iterdir() if path.is_file()} == before


def test_a_study_of_the_sample_finds_its_corpus(root: Path, cotpd: Cotpd) -> None:
    outcome = cotpd("study", root / "configs/studies/sample.toml", "--dry-run")
    assert (outcome.code, outcome.err) == (0, "")
    assert "not found" not in outcome.out


@pytest.mark.slow
def test_the_configuration_of_a_run_on_the_sample_repeats_it(tmp_path: Path, cotpd: Cotpd, tiny_encoder: Path) -> None:
    changes = [f"student.encoder={tiny_encoder}", "optimisation.epochs=1", "training_set.share=0.2"]
    outcome = cotpd("distill", "sample", *(word for text in changes for word in ("--set", text)), "--out", "first")
    assert outcome.code == 0, outcome.err
    assert cotpd("distill", "first/config.toml", "--out", "again").code == 0
    first, again = (tmp_path / run / "model" / "model.safetensors" for run in ("first", "again"))
    assert first.read_bytes() == again.read_bytes()
    for arguments in (("diagnose", "first"), ("evaluate", "first"), ("evaluate", "first", "sample")):
        outcome = cotpd(*arguments)
        assert outcome.code == 0, outcome.err
    assert "data  sample (dev)" in outcome.out
