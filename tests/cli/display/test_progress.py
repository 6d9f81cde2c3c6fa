"""Progress on stderr: bars that fit a terminal and that logs do not tear, lines where nobody watches a terminal."""

from __future__ import annotations

import io
import logging
import sys
from itertools import count

import pytest
from rich.console import Console

from cotpd.cli.display.counting_bar import LINE_SECONDS, CountingBar
from cotpd.cli.display.live_display import LiveDisplay
from cotpd.cli.display.stderr import ConsoleHandler
from cotpd.cli.display.training_bar import TrainingBar
from cotpd.distillation.progress import Progress
from cotpd.llm.asking.progress import AskingProgress


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """A terminal of 80 columns in place of stderr."""
    stream = io.StringIO()
    console = Console(
        file=stream,
        force_terminal=True,
        width=80,
        markup=False,
        emoji=False,
        highlight=False,
        _environ={"TERM": "xterm"},
    )
    for module in ("counting_bar", "stderr"):
        monkeypatch.setattr(f"cotpd.cli.display.{module}.stderr_console", lambda: console)
    return stream


def test_a_log_line_appears_above_the_bar(terminal: io.StringIO) -> None:
    with CountingBar("examples") as bar:
        bar.show(1, 10)
        bar._bar.refresh()
        before = len(terminal.getvalue())
        ConsoleHandler().handle(logging.makeLogRecord({"msg": "cut [x] of \x1b[31m two"}))
        written = terminal.getvalue()[before:]
    erased, _, rest = written.partition("cut [x] of \ufffd[31m two")
    assert "\x1b[2K" in erased, "the bar is erased before the line is printed"
    assert rest.startswith("\n")
    assert "examples" in rest, "the bar is drawn again below the line"


def test_every_bar_fits_80_columns(terminal: io.StringIO) -> None:
    ticks = count(0, 10)
    counting = CountingBar("examples", clock=lambda: next(ticks))
    counting.show(123_456, 200_000)
    training = TrainingBar(clock=lambda: next(ticks))
    training.show_training(Progress(123, 1234, 9, 0.5, 0.25, dev_f1=0.8123, best_f1=0.8123))
    training.show_training(Progress(124, 1234, 9, 0.5, 0.25, dev_f1=None, best_f1=0.8123))
    asking = LiveDisplay("augment")
    asking.show_asking(AskingProgress(answered=1234, rejected=56, failed=7, cost=1.25, seconds=100), 12345)
    for bar, end in ((counting, "left"), (training, "align 0.250"), (asking, "cost 1.2500")):
        text = io.StringIO()
        Console(file=text, width=80).print(bar._bar.get_renderable())
        [line] = text.getvalue().splitlines()
        assert len(line) <= 80
        assert line.rstrip().endswith(end), line
        assert " left" in line
        assert "/s" in line


def test_without_a_terminal_a_line_appears_from_time_to_time() -> None:
    times, stream = iter([0.0, 1.0, 2.0, 3.0, LINE_SECONDS + 1, LINE_SECONDS + 1, LINE_SECONDS + 1]), io.StringIO()
    bar = CountingBar("examples", console=Console(file=stream), clock=lambda: next(times))
    bar.show(2, 100)
    assert stream.getvalue() == ""
    bar.show(32, 100, "a note")
    assert stream.getvalue() == "examples  32/100  10.7/s  0:00:06 left  a note\n"


def test_without_a_total_the_bar_counts(terminal: io.StringIO) -> None:
    ticks = count(0, 10)
    bar = CountingBar("texts", clock=lambda: next(ticks))
    bar.show(100)
    assert bar._bar.tasks[0].fields["state"] == "100  10.0/s"


def test_a_bar_leaves_stdout_alone(terminal: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    with CountingBar("texts") as bar:
        bar.show(1)
        sys.stdout.write("an answer\n")
    assert capsys.readouterr().out == "an answer\n"
    assert "an answer" not in terminal.getvalue()
