"""The process of the command line: its signals and standard streams. It imports little, because it comes first."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from types import FrameType

_IMPORT = "<frozen importlib._bootstrap>"


def handle_signals() -> None:
    """End with exit code 130 after SIGINT and 143 after SIGTERM, without a traceback at any moment.

    A signal that the caller ignores, as `nohup` does, stays ignored.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)


def open_closed_streams() -> None:
    """Open the null device in place of standard streams that the shell closed, as in ``cotpd check data 2>&-``.

    Otherwise messages for stderr would go to stdout, and the next file to be opened would take the place of a stream.
    """
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        continue
    os.close(handle)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115


def _end(number: int, frame: FrameType | None) -> None:
    """Raise the exception of a signal. In an import, libraries would catch it or fail in odd ways: end at once."""
    if _is_importing(frame):
        with suppress(OSError, RuntimeError, ValueError):
            sys.stdout.flush()
        os._exit(128 + number)
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(128 + number)


def _is_importing(frame: FrameType | None) -> bool:
    while frame:
        if frame.f_code.co_filename == _IMPORT:
            return True
        frame = frame.f_back
    return False
