"""The only way to print: text of users and of models never reaches a terminal with control characters."""

from __future__ import annotations

import re
import sys

import typer
from rich.console import Console

_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """Replace control characters, bidi controls and lone surrogates, which could control a terminal, by U+FFFD."""
    return _UNPRINTABLE.sub("\ufffd", text)


def echo(text: str, *, err: bool = False) -> None:
    """Print a line to stdout or stderr, with control characters replaced."""
    typer.echo(printable(text), err=err)


def echo_json(text: str) -> None:
    """Print JSON to stdout. Control characters in its strings are escaped, so that it stands for the same values."""
    typer.echo(_UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text))


def plain_console() -> Console:
    """Return a console for stdout that styles text, but interprets no markup in it and does not wrap it."""
    return Console(markup=False, emoji=False, highlight=False, soft_wrap=True)


def write_data(content: bytes) -> None:
    """Write a file to stdout: unchanged into a pipe or a file, with control characters replaced on a terminal."""
    if sys.stdout.isatty():
        content = printable(content.decode("utf-8", "replace")).encode()
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()
