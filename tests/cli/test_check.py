"""`cotpd check`: what it prints, and how it ends."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cotpd.corpus.corpus import Corpus

Run = Callable[..., Any]


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    """A file with one good post and three broken lines."""
    path = tmp_path / "a rather long name so that a narrow terminal would have to cut the line" / "posts.txt"
    path.parent.mkdir()
    path.write_text("IMGID:1\ngood\tB-PER\n\nIMGID:2\na O\nb O\nc\tX\n", encoding="utf-8")
    return path


def test_the_sample_passes_with_warnings_at_most(cotpd: Run, sample: Corpus) -> None:
    done = cotpd("check", sample.files["train"].parent)
    assert done.code == 0
    assert "0 errors" in done.out
    assert done.err == ""


def test_errors_end_with_code_5_and_whole_places(cotpd: Run, bad: Path) -> None:
    done = cotpd("check", bad, "--limit", 1)
    assert done.code == 5
    assert "error spaces-for-tab (2)\n" in done.out
    assert f"  {bad}:5: a space" in done.out
    assert f"{bad}:6" not in done.out
    assert "… and 1 more (--limit 2)" in done.out
    assert f"  {bad}:7: 'X' is no tag" in done.out


def test_json_holds_every_defect(cotpd: Run, bad: Path) -> None:
    done = cotpd("check", bad, "--json", "--limit", 0)
    report = json.loads(done.out)
    assert done.code == 5
    assert report["errors"] == 3
    assert report["errors"] + report["warnings"] == len(report["defects"]) == sum(report["kinds"].values())
    assert report["statistics"]["splits"]["unsplit"]["posts"] == 2
    assert {"kind", "where", "message", "severity"} == set(report["defects"][0])


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("nowhere",), 5, "nowhere: no such file or directory"),
        ((".", "--limit", "-1"), 2, "limit"),
        ((), 2, "DATA"),
    ],
)
def test_a_wrong_call_is_one_line(cotpd: Run, arguments: tuple[str, ...], code: int, message: str) -> None:
    done = cotpd("check", *arguments)
    assert done.code == code
    assert message.lower() in done.err.lower()
    assert done.out == ""


def test_an_unknown_captioner_is_named(cotpd: Run, sample: Corpus) -> None:
    done = cotpd("check", sample.files["train"].parent, "--captioner", "nobody")
    assert done.code == 2
    assert "nothing is by 'nobody'; there is author" in done.err
