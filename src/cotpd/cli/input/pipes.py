"""Standard input and output in the place of files, for verbs that read and write whole files."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cotpd.core.errors import DataError, UsageError
from cotpd.corpus.formats import named_format

_PIPE = Path("-")
_OF_SEVERAL_FILES = ("brat", "hf_datasets")


@dataclass(frozen=True, slots=True)
class Paths:
    """The files to read and to write, ``given`` as the user names them."""

    source: Path
    target: Path
    given: tuple[Path, Path]

    @property
    def to_stdout(self) -> bool:
        """Whether what is written goes to stdout."""
        return self.given[1] == _PIPE

    def shown(self, text: str) -> str:
        """A message with the names of pipes in the place of temporary files."""
        for path, given, name in zip((self.source, self.target), self.given, ("<stdin>", "<stdout>"), strict=True):
            text = text.replace(str(path), name) if given == _PIPE else text
        return text


def stdin() -> BinaryIO:
    """The bytes of standard input. Raises `UsageError` where the shell has closed it."""
    if sys.stdin is None:
        raise UsageError("stdin is closed; pipe something into it, or name a file")
    return sys.stdin.buffer


@contextmanager
def piped(source: Path, target: Path, *, read_as: str | None, to: str | None) -> Iterator[Paths]:
    """The paths to read and to write: where one is ``-`` a temporary file, filled from stdin or poured out at the end.

    Raises `UsageError` for ``-`` without a format, or with one of several files.
    """
    with tempfile.TemporaryDirectory() as folder:
        readable = Path(folder, f"stdin{_suffix(read_as, '--from')}") if source == _PIPE else source
        writable = Path(folder, "out", f"{readable.stem}{_suffix(to, '--to')}") if target == _PIPE else target
        paths = Paths(readable, writable, (source, target))
        if source == _PIPE:
            readable.write_bytes(stdin().read())
        try:
            yield paths
        except DataError as error:
            raise DataError(paths.shown(str(error))) from error
        if paths.to_stdout:
            sys.stdout.buffer.write(writable.read_bytes())
            sys.stdout.buffer.flush()


def _suffix(name: str | None, option: str) -> str:
    if name is None:
        raise UsageError(f"- does not tell its format; name it by {option}")
    if name in _OF_SEVERAL_FILES:
        raise UsageError(f"{name} takes several files, which - cannot be; name a directory")
    return named_format(name).suffix
