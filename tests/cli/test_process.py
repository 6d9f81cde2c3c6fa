"""Signals and standard streams: no traceback at any moment, and nothing printed in the wrong place."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, signal, sys
from importlib.abc import MetaPathFinder

class Interruption(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == NAME:
            os.kill(os.getpid(), NUMBER)

sys.meta_path.insert(0, Interruption())
sys.modules.pop(NAME, None)
from cotpd.__main__ import main
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [("signal.SIGINT", 130), ("signal.SIGTERM", 143)])
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("cotpd.cli.app", ["--help"]),
        ("typer", ["check", "sample"]),
        ("rich", ["show", "sample"]),
        ("pydantic", ["check", "sample"]),
        ("torch", ["extract", "nowhere/at-all", "text"]),
    ],
)
def test_a_signal_while_libraries_are_imported_ends_quietly(
    name: str, arguments: list[str], number: str, code: int
) -> None:
    program = PROGRAM.replace("NAME", repr(name)).replace("NUMBER", number)
    ended = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (code, "", "")


def shell(command: str) -> subprocess.CompletedProcess[str]:
    program = f"{sys.executable} -m cotpd {command}"
    return subprocess.run(["bash", "-c", program], capture_output=True, text=True)


@pytest.mark.slow
def test_an_ignored_interrupt_stays_ignored() -> None:
    program = f"trap '' INT; {sys.executable} -c 'import signal; from cotpd.cli.process import handle_signals as h; h()"
    program += "; signal.raise_signal(signal.SIGINT); print(5)'"
    ended = subprocess.run(["bash", "-c", program], capture_output=True, text=True)
    assert (ended.stdout, ended.stderr) == ("5\n", "")


@pytest.mark.slow
def test_messages_for_a_closed_stderr_do_not_go_to_stdout() -> None:
    for command in ("check /nowhere/at/all", "nothing", "store nowhere.sqlite"):
        ended = shell(f"{command} 2>&-")
        assert ended.returncode != 0
        assert (ended.stdout, ended.stderr) == ("", "")


@pytest.mark.slow
def test_no_file_takes_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    """What a library writes to stderr would land in it."""
    program = "import os; from cotpd.cli.process import open_closed_streams as o; o(); print(open(os.devnull).fileno())"
    ended = subprocess.run(["bash", "-c", f'{sys.executable} -c "{program}" 2>&- <&-'], capture_output=True, text=True)
    assert int(ended.stdout) > 2


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has /dev/full")
def test_a_full_disk_behind_stdout_is_one_line() -> None:
    ended = shell("--version > /dev/full")
    assert (ended.returncode, ended.stderr) == (
        1,
        "error: stdout: No space left on device; free some space and run the command again\n",
    )
