"""Locks between processes: files that name their holder, and that never replace the content of another file."""

from __future__ import annotations

import errno
import os
import platform
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import lock_descriptor

from cotpd.core.errors import UsageError

_HOLDER = re.compile(r"process \d+ on [^\n]*\n?")
_MAX_BYTES = 300
_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold an exclusive lock on the file ``path``. The lock ends with the block or with the process.

    The file holds one line that names the process. It is created if necessary and stays when the lock ends.

    Args:
        path: The lock file.
        wait: Wait until no other process holds the lock.

    Raises:
        BlockingIOError: If another process holds the lock and ``wait`` is False; its ``strerror`` names the process.
        UsageError: If the path is a symbolic link, or a file that is not a lock file. It stays unchanged.
        OSError: If the file cannot be opened for writing.
    """
    handle = _open(path)
    try:
        _refuse_other_file(handle, path)
        if not lock_descriptor(handle, blocking=wait):
            raise BlockingIOError(errno.EAGAIN, _read_holder(handle) or "another process", str(path))
        os.ftruncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, f"process {os.getpid()} on {platform.node()}\n".encode())
        yield
    finally:
        os.close(handle)


def _open(path: Path) -> int:
    """Open a file without following a link."""
    _refuse_link(path)
    try:
        return os.open(path, _FLAGS, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            _refuse_link(path)
        raise


def _refuse_link(path: Path) -> None:
    if path.is_symlink():
        raise UsageError(f"{path}: expected a lock file, found a symbolic link; remove it")


def _refuse_other_file(handle: int, path: Path) -> None:
    status = os.fstat(handle)
    is_small_file = stat.S_ISREG(status.st_mode) and status.st_size <= _MAX_BYTES
    if not is_small_file or _read_holder(handle) is None:
        raise UsageError(f"{path}: expected a lock file, found another file of this name; move it away")


def _read_holder(handle: int) -> str | None:
    """Return the process that a lock file names; empty for a new file, None for the content of another file."""
    with suppress(PermissionError):  # Windows: the holder locks the bytes that would be read
        os.lseek(handle, 0, os.SEEK_SET)
        content = os.read(handle, _MAX_BYTES + 1).decode("utf-8", "replace")
        return content.strip() if not content or _HOLDER.fullmatch(content) else None
    return ""
