"""Each example is short and runs unchanged, on a tiny encoder."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).resolve().parent.parent / "examples").glob("*.py"))


def test_examples_have_at_most_40_lines() -> None:
    lengths = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in EXAMPLES}
    assert lengths
    assert {name: length for name, length in lengths.items() if length > 40} == {}


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_runs_and_prints(
    path: Path,
    tiny_encoder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    takes_encoder = "[ENCODER]" in path.read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [path.name, *([str(tiny_encoder)] if takes_encoder else [])])
    runpy.run_path(str(path), run_name="__main__")
    assert capsys.readouterr().out.strip()


def test_make_alone_lists_every_target_with_its_comment(root: Path) -> None:
    targets = re.findall(r"^([a-z-]+):.*## (.+)$", (root / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    ended = subprocess.run(["make"], cwd=root, capture_output=True, text=True, check=True)
    assert len(targets) > 5
    assert all(f"make {name}" in ended.stdout and comment in ended.stdout for name, comment in targets)


def test_the_output_in_the_docstring_of_ask_is_what_it_prints(capsys: pytest.CaptureFixture[str]) -> None:
    (path,) = (path for path in EXAMPLES if path.name == "ask.py")
    module = runpy.run_path(str(path))
    module["main"]()
    shown = [line.strip() for line in module["__doc__"].splitlines() if line.startswith("    ")]
    assert shown == capsys.readouterr().out.splitlines()[: len(shown)]
    assert shown
