"""How the command line starts, and how each kind of failure ends."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import cotpd as package
from cotpd.cli.app import app
from cotpd.core.errors import DataError

Cotpd = Callable[..., Any]

PROGRAM = """
from cotpd.cli.app import app, main
from cotpd.core.errors import DataError

@app.command()
def fail(way: str) -> None:
    if way == "data":
        raise DataError("a bad tag", where="train.txt:3")
    if way == "bug":
        raise ValueError("oh no")
    print("line\\n" * 100_000 if way == "long" else "line")

main()
"""


def run(*arguments: str, program: str = PROGRAM, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, **options)


def fail(way: str) -> None:
    if way == "data":
        raise DataError("a bad tag", where="train.txt:3")
    if way == "interrupt":
        raise KeyboardInterrupt
    if way == "terminate":
        signal.raise_signal(signal.SIGTERM)
    if way == "foreign":
        sys.stdout.write("\u4f60\u597d \U0001f44b na\u00efve\n")
    if way == "missing":
        Path("/nowhere/at/all").read_bytes()


@pytest.fixture
def failing(cotpd: Cotpd) -> Iterator[Cotpd]:
    """The command line with an additional verb ``fail``."""
    app.command()(fail)
    yield cotpd
    app.registered_commands.pop()


def test_each_error_is_one_line_with_its_exit_code(failing: Cotpd) -> None:
    expected = {
        "data": (5, "error: train.txt:3: a bad tag\n"),
        "missing": (1, "error: /nowhere/at/all: No such file or directory\n"),
        "interrupt": (130, ""),
        "terminate": (143, ""),
        "fine": (0, ""),
    }
    for way, (code, message) in expected.items():
        ended = failing("fail", way)
        assert (ended.code, ended.err) == (code, message), way


def test_a_bug_is_one_line_that_says_how_to_report_it() -> None:
    ended = run("fail", "bug")
    assert ended.returncode == 1
    assert ended.stderr == (
        "error: a bug in cotpd (ValueError: oh no); run the command with --debug and report the traceback\n"
    )


def test_debug_shows_the_traceback_of_a_bug() -> None:
    ended = run("--debug", "fail", "bug")
    assert "Traceback" in ended.stderr
    assert "in fail" in ended.stderr


def test_debug_is_accepted_after_the_verb(failing: Cotpd) -> None:
    ended = failing("fail", "data", "--debug")
    assert "Traceback" in ended.err
    assert "in fail" in ended.err


def test_arguments_after_two_dashes_are_not_options(failing: Cotpd) -> None:
    ended = failing("fail", "data", "--", "--debug")
    assert "Traceback" not in ended.err
    assert ended.code == 2


def test_a_mistyped_verb_is_a_usage_error_with_a_suggestion(cotpd: Cotpd) -> None:
    ended = cotpd("distil")
    assert ended.code == 2
    assert ended.err.startswith("error: ")
    assert "'distill'" in ended.err
    assert ended.err.count("\n") == 1


def test_a_missing_extra_is_named_with_its_command() -> None:
    program = "import sys; sys.modules['torch'] = None\nfrom cotpd.cli.app import main\nmain()"
    ended = run("extract", "m", "x", program=program)
    assert ended.returncode == 6
    assert ended.stderr == "error: torch is not installed; run: pip install 'cotpd[train]'\n"


@pytest.mark.parametrize("way", ["long", "short"])
def test_a_closed_pipe_is_not_an_error(way: str) -> None:
    command = f"{sys.executable} - fail {way} | true"
    ended = subprocess.run(["bash", "-c", command], input=PROGRAM, capture_output=True, text=True)
    assert ended.stderr == ""


def test_characters_outside_the_encoding_of_stdout_are_escaped(failing: Cotpd, monkeypatch: pytest.MonkeyPatch) -> None:
    output = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(output, encoding="latin-1"))
    ended = failing("fail", "foreign")
    assert (ended.code, ended.err) == (0, "")
    assert output.getvalue() == b"\\u4f60\\u597d \\U0001f44b na\xefve\n"


@pytest.mark.parametrize(("options", "is_shown"), [([], False), (["--debug"], True)])
def test_only_debug_shows_the_warnings_of_libraries(options: list[str], is_shown: bool) -> None:
    """For example, the client of the Hugging Face Hub warns of every retry."""
    warn = 'from huggingface_hub.utils import logging; logging.get_logger("huggingface_hub.x").warning("Retrying")'
    program = PROGRAM.replace('if way == "data":', f'if way == "data":\n        {warn}')
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_VERBOSITY")}
    ended = run("fail", "data", *options, program=program, env=environment)
    assert ("Retrying" in ended.stderr) == is_shown


def test_version_is_that_of_the_package(cotpd: Cotpd) -> None:
    assert cotpd("--version").out == f"cotpd {package.__version__}\n"


def test_without_a_verb_the_help_is_printed(cotpd: Cotpd) -> None:
    assert "Usage: cotpd" in cotpd().out


def test_help_imports_no_heavy_package() -> None:
    program = "import sys; from cotpd.cli.app import main\ntry: main()\nfinally: print(*sys.modules, file=sys.stderr)"
    ended = run("--help", program=program, check=True)
    loaded = set(ended.stderr.split())
    assert "typer" in loaded
    assert not loaded & {"torch", "transformers", "accelerate", "httpcore2", "httpx2", "xllamacpp", "PIL"}
