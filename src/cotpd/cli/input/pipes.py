"""Use standard input and output in place of files, for verbs that read and write whole files."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cotpd.cli.display.terminal import write_data
from cotpd.core.errors import DataError, UsageError
from cotpd.corpus.formats import named_format

_PIPE = Path("-")
_MULTI_FILE_FORMATS = ("brat", "hf_datasets")


@dataclass(frozen=True, slots=True)
class PipedPaths:
    """The file to read and the file to write; ``given`` holds both as the user names them."""

    source: Path
    target: Path
    given: tuple[Path, Path]

    @property
    def to_stdout(self) -> bool:
        """True if the output goes to stdout."""
        return self.given[1] == _PIPE

    def name_pipes(self, text: str) -> str:
        """Replace the names of temporary files in a message by ``<stdin>`` and ``<stdout>``."""
        for path, given, name in zip((self.source, self.target), self.given, ("<stdin>", "<stdout>"), strict=True):
            text = text.replace(str(path), name) if given == _PIPE else text
        return text


def stdin() -> BinaryIO:
    """Return standard input as a binary stream. Raises `UsageError` if the shell has closed it."""
    if sys.stdin is None:
        raise UsageError("stdin is closed; pipe data into the command, or give a file name")
    return sys.stdin.buffer


@contextmanager
def piped(source: Path, target: Path, *, read_as: str | None, to: str | None) -> Iterator[PipedPaths]:
    """Yield the paths to read and to write, with a temporary file in place of ``-``.

    The temporary input holds the content of stdin. The temporary output is copied to stdout at the end.

    Raises:
        UsageError: If a path is ``-`` and its format is not given, or consists of several files.
    """
    with tempfile.TemporaryDirectory() as folder:
        readable = Path(folder, f"stdin{_suffix(read_as, '--from')}") if source == _PIPE else source
        writable = Path(folder, "out", f"{readable.stem}{_suffix(to, '--to')}") if target == _PIPE else target
        paths = PipedPaths(readable, writable, (source, target))
        if source == _PIPE:
            readable.write_bytes(stdin().read())
        try:
            yield paths
        except DataError as error:
            raise DataError(paths.name_pipes(str(error))) from error
        if paths.to_stdout:
            write_data(writable.read_bytes())


def _suffix(name: str | None, option: str) -> str:
    if name is None:
        raise UsageError(f"the format of - is unknown; set it with {option}")
    if name in _MULTI_FILE_FORMATS:
        raise UsageError(f"{name} consists of several files and cannot be used with -; give a directory")
    return named_format(name).suffix
