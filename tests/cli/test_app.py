"""How the command line starts and how each failure ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

import cotpd as package

FAILING = """
import signal
from cotpd.cli.app import app, main
from cotpd.core.errors import DataError

@app.command()
def fail(way: str) -> None:
    if way == "data":
        raise DataError("a bad tag", where="train.txt:3")
    if way == "bug":
        raise ValueError("oh no")
    if way == "interrupt":
        raise KeyboardInterrupt
    if way == "terminate":
        signal.raise_signal(signal.SIGTERM)
    if way == "foreign":
        print("\u4f60\u597d \U0001f44b na\u00efve")
    if way == "missing":
        open("/nowhere/at/all")
    print("line\\n" * 100_000 if way == "long" else "line")

@app.command()
def other() -> None: ...

main()
"""


def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", FAILING, *arguments], capture_output=True, text=True, **options)


@pytest.mark.parametrize(
    ("way", "code", "message"),
    [
        ("data", 5, "error: train.txt:3: a bad tag\n"),
        ("missing", 1, "error: /nowhere/at/all: No such file or directory\n"),
        ("interrupt", 130, ""),
        ("terminate", 143, ""),
        ("fine", 0, ""),
    ],
)
def test_each_failure_is_one_line_and_its_exit_code(way: str, code: int, message: str) -> None:
    ended = run("fail", way)
    assert (ended.returncode, ended.stderr) == (code, message)


def test_a_bug_is_one_line_that_tells_how_to_see_more() -> None:
    ended = run("fail", "bug")
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: a bug in cotpd (ValueError: oh no)")
    assert ended.stderr.count("\n") == 1


def test_a_missing_extra_is_named() -> None:
    program = "import sys; sys.modules['torch'] = None\nfrom cotpd.cli.app import main\nmain()"
    ended = subprocess.run([sys.executable, "-c", program, "extract", "m", "x"], capture_output=True, text=True)
    assert ended.returncode == 6
    assert ended.stderr == "error: torch is not installed; run: pip install 'cotpd[train]'\n"


@pytest.mark.parametrize("arguments", [("--debug", "fail", "bug"), ("fail", "data", "--debug")])
def test_debug_shows_the_trace_wherever_it_stands(arguments: tuple[str, ...]) -> None:
    ended = run(*arguments)
    assert "Traceback" in ended.stderr
    assert "in fail" in ended.stderr


def test_what_follows_two_dashes_is_no_option() -> None:
    ended = run("fail", "data", "--", "--debug")
    assert "Traceback" not in ended.stderr
    assert ended.returncode == 2


def test_a_mistyped_verb_is_usage_with_a_suggestion() -> None:
    ended = run("fial")
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: ")
    assert "'fail'" in ended.stderr
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("way", ["long", "short"])
def test_a_reader_that_leaves_is_no_error(way: str) -> None:
    command = f"{sys.executable} - fail {way} | true"
    ended = subprocess.run(["bash", "-c", command], input=FAILING, capture_output=True, text=True)
    assert ended.stderr == ""


def test_a_terminal_of_few_letters_shows_the_others_by_number() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", FAILING, "fail", "foreign"],
        capture_output=True,
        encoding="latin-1",
        env=os.environ | {"PYTHONIOENCODING": "latin-1"},
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("\\u4f60\\u597d \\U0001f44b na\u00efve\n")


@pytest.mark.parametrize(("options", "told"), [([], False), (["--debug"], True)])
def test_warnings_of_libraries_stay_off_stderr(options: list[str], told: bool) -> None:
    """The hub's client tells of every retry."""
    warn = 'from huggingface_hub.utils import logging; logging.get_logger("huggingface_hub.x").warning("Retrying")'
    program = FAILING.replace('if way == "data":', f'if way == "data":\n        {warn}')
    clean = {name: value for name, value in os.environ.items() if not name.endswith("_VERBOSITY")}
    command = [sys.executable, "-c", program, "fail", "data", *options]
    ended = subprocess.run(command, capture_output=True, text=True, env=clean)
    assert ("Retrying" in ended.stderr) == told


def test_version(cotpd: Callable[..., Any]) -> None:
    assert cotpd("--version").out == f"cotpd {package.__version__}\n"


def test_no_verb_prints_the_help(cotpd: Callable[..., Any]) -> None:
    assert "Usage: cotpd" in cotpd().out


def test_help_imports_nothing_heavy() -> None:
    program = "import sys; from cotpd.cli.app import main\ntry: main()\nfinally: print(*sys.modules, file=sys.stderr)"
    ended = subprocess.run([sys.executable, "-c", program, "--help"], capture_output=True, text=True, check=True)
    loaded = set(ended.stderr.split())
    assert "typer" in loaded
    assert not loaded & {"torch", "transformers", "accelerate", "openai", "xllamacpp", "PIL"}
