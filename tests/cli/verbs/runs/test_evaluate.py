"""`cotpd evaluate` prints the report of a run as a table or as JSON, and writes it to a file.

How runs are scored is tested in tests/distillation/test_run_evaluation.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cotpd = Callable[..., Any]


@pytest.fixture
def corpus(sample_path: Path, tmp_path: Path) -> Path:
    """A few test examples of the sample, without captions and knowledge."""
    (tmp_path / "corpus").mkdir()
    lines = (sample_path / "test.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "corpus" / "test.jsonl").write_text("".join(lines[:8]), encoding="utf-8")
    return tmp_path / "corpus"


def test_the_table_names_run_data_view_mode_and_the_comparison(
    text_run: Path, finished_run: Path, corpus: Path, cotpd: Cotpd
) -> None:
    outcome = cotpd("evaluate", text_run, corpus, "--mode", "strict", "--against", finished_run)
    assert outcome.code == 0, outcome.err
    for part in (
        f"run   {text_run}",
        f"data  {corpus} (test)",
        "view  text",
        "mode strict (",
        "compared with",
        "difference",
    ):
        assert part in outcome.out


def test_json_is_printed_and_written_with_the_same_figures(
    text_run: Path, corpus: Path, tmp_path: Path, cotpd: Cotpd
) -> None:
    out = tmp_path / "deep" / "scores.json"
    outcome = cotpd("evaluate", text_run, corpus, "--json", "--out", out)
    assert (outcome.code, outcome.err) == (0, "")
    assert json.loads(outcome.out) == json.loads(out.read_text(encoding="utf-8"))
    assert json.loads(outcome.out)["view"] == "text"


def test_options_of_relations_reach_the_evaluation(
    relation_run: Path, finished_run: Path, tmp_path: Path, cotpd: Cotpd
) -> None:
    line = {"token": ["Ann", "left", "Oslo"], "h": {"name": "Ann", "pos": [0, 1]}, "t": {"name": "Oslo", "pos": [2, 3]}}
    (tmp_path / "mnre_dev.txt").write_text(f"{line | {'relation': 'None', 'img_id': 'i'}}\n", encoding="utf-8")
    table = cotpd("evaluate", relation_run, tmp_path, "--all-pairs").out
    assert "false relations" in table
    assert "pairs  of gold entities" in table
    found = cotpd("evaluate", relation_run, tmp_path, "--entities-from", finished_run, "--json")
    assert json.loads(found.out)["pairs"]["related"]["pairs"] == 0


def test_a_file_that_cannot_be_written_is_an_error_after_the_report(
    text_run: Path, corpus: Path, tmp_path: Path, cotpd: Cotpd
) -> None:
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "scores.json"
    outcome = cotpd("evaluate", text_run, corpus, "--json", "--out", out)
    assert (outcome.code, json.loads(outcome.out)["view"]) == (2, "text")
    assert f"error: --out: cannot write {out}" in outcome.err


def test_every_failure_is_one_line_with_the_exit_code_of_its_kind(
    finished_run: Path, corpus: Path, tmp_path: Path, cotpd: Cotpd
) -> None:
    for code, message, arguments in (
        (5, "put captions.jsonl or knowledge.jsonl beside the corpus", (finished_run, corpus, "--view", "knowledge")),
        (2, "'lenient' is not one of", (finished_run, corpus, "--mode", "lenient")),
        (2, "is a directory; give a file", (finished_run, corpus, "--out", tmp_path)),
        (1, "no model here", (tmp_path / "nowhere", corpus)),
    ):
        outcome = cotpd("evaluate", *arguments)
        assert (outcome.code, outcome.out) == (code, "")
        assert message in outcome.err
        assert outcome.err.count("\n") == 1
