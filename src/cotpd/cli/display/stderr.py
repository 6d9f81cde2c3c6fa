"""The console on stderr. Logs, progress bars and hints share it, so that a log line appears above a bar."""

from __future__ import annotations

import logging
from functools import cache

from rich.console import Console

from cotpd.cli.display.terminal import printable


@cache
def stderr_console() -> Console:
    """Return the console that everything on stderr goes through."""
    return Console(stderr=True, markup=False, emoji=False, highlight=False)


def print_line(text: str) -> None:
    """Print a line as it is, of any length."""
    stderr_console().print(text, soft_wrap=True)


class ConsoleHandler(logging.Handler):
    """Prints log records on stderr.

    Control characters are replaced, because messages quote text of others, such as the error message of an endpoint.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record, with its traceback if it has one."""
        print_line(printable(self.format(record)))
