"""`cotpd check`: output and exit codes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cotpd.corpus.corpus import Corpus

Run = Callable[..., Any]


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    """Write a file with one valid post and three broken lines."""
    path = tmp_path / "a rather long name so that a narrow terminal would have to cut the line" / "posts.txt"
    path.parent.mkdir()
    path.write_text("IMGID:1\ngood\tB-PER\n\nIMGID:2\na O\nb O\nc\tX\n", encoding="utf-8")
    return path


def test_sample_has_no_errors(cotpd: Run, sample: Corpus) -> None:
    done = cotpd("check", sample.files["train"].parent)
    assert done.code == 0
    assert "0 errors" in done.out
    assert done.err == ""


def test_errors_give_exit_code_5_and_complete_places(cotpd: Run, bad: Path) -> None:
    done = cotpd("check", bad, "--limit", 1)
    assert done.code == 5
    assert "error spaces-for-tab (2)\n" in done.out
    assert f"  {bad}:5: a space separates word and tag" in done.out
    assert f"{bad}:6" not in done.out
    assert "… and 1 more (print them with --limit 2)" in done.out
    assert f"  {bad}:7: invalid tag 'X'" in done.out


def test_json_contains_every_defect(cotpd: Run, bad: Path) -> None:
    done = cotpd("check", bad, "--json", "--limit", 0)
    report = json.loads(done.out)
    assert done.code == 5
    assert report["errors"] == 3
    assert report["errors"] + report["warnings"] == len(report["defects"]) == sum(report["kinds"].values())
    assert report["statistics"]["splits"]["unsplit"]["posts"] == 2
    assert {"kind", "where", "message", "severity"} == set(report["defects"][0])


def test_line_number_is_not_printed_as_an_emoji(cotpd: Run, tmp_path: Path) -> None:
    path = tmp_path / "posts.txt"
    path.write_text("good\tO\n\n" * 49 + "a\tO\nb X\n", encoding="utf-8")
    assert f"  {path}:100: word 2" in cotpd("check", path).out


def test_wrong_call_prints_one_line(cotpd: Run) -> None:
    for arguments, code, message in (
        (("nowhere",), 5, "nowhere: no such file or directory"),
        ((".", "--limit", "-1"), 2, "limit"),
        ((), 2, "DATA"),
    ):
        done = cotpd("check", *arguments)
        assert (done.code, done.out) == (code, ""), arguments
        assert message.lower() in done.err.lower()


@pytest.fixture
def answered(tmp_path: Path) -> Path:
    """Write two posts with knowledge of two models; one row belongs to the image of the second post."""
    posts = [{"id": "a", "text": "Jordan beat Oman"}, {"id": "b", "text": "rain in Amman", "image": "i"}]
    rows = [
        {"example_id": "a", "grain": "noun", "model": "one", "text": "Jordan: a team"},
        {"image_id": "i", "grain": "noun", "model": "one", "text": "Amman: a city"},
        {"example_id": "a", "grain": "noun", "model": "[red]two", "text": "Jordan: a team"},
        {"example_id": "b", "grain": "noun", "model": "[red]two", "text": "Amman: a capital"},
    ]
    for name, objects in (("posts.jsonl", posts), ("knowledge.jsonl", rows)):
        (tmp_path / name).write_text("".join(json.dumps(each) + "\n" for each in objects), encoding="utf-8")
    return tmp_path / "posts.jsonl"


def test_answers_are_measured_by_model(cotpd: Run, answered: Path) -> None:
    done = cotpd("check", answered, "--answers")
    assert done.code == 0
    assert "answers of one\n  noun                2 answers of  3.0 words; grounded  41.7%" in done.out
    assert "answers of [red]two\n" in done.out
    assert "one and [red]two agree\n  noun          on 2 posts: in 100.0% of the names, in 50.0%" in done.out
    assert "answers of" not in cotpd("check", answered).out


def test_answers_are_part_of_the_json(cotpd: Run, answered: Path) -> None:
    report = json.loads(cotpd("check", answered, "--answers", "--json").out)
    assert report["answers"]["one"]["noun"]["answers"] == 2
    (agreed,) = report["agreement"]
    assert agreed["models"] == ["one", "[red]two"]
    assert agreed["noun"] == {"posts": 2, "names": 1.0, "words": 0.5, "by_chance": 0.0}


def test_corpus_without_knowledge_has_empty_measurements(cotpd: Run, answered: Path) -> None:
    answered.with_name("knowledge.jsonl").unlink()
    report = json.loads(cotpd("check", answered, "--answers", "--json").out)
    assert (report["answers"], report["agreement"]) == ({}, [])
