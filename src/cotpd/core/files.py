"""Files: written whole or not at all, read line by line with the place of every defect, hashed by content."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from cotpd.core.errors import CheckpointError, DataError, UsageError

MANIFEST = "manifest.json"
"""The file of a directory that holds the SHA-256 of all its other files."""

_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_HALVES = re.compile("[\ud800-\udfff]")


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write ``content`` to ``path``, whole or not at all."""
    with writing(path) as stream:
        stream.write(content.encode("utf-8") if isinstance(content, str) else content)


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """Write a file under a temporary name; at the end it is synced and moved: readers never see a torn file.

    Of a link it is the target that is written; a file that exists keeps its mode. A pipe or device is written as it is.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as stream:
            yield stream
        return
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as stream:
            if path.exists():
                shutil.copymode(path, temporary)
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(path.parent)


@contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """Fill a temporary directory that becomes ``path`` whole: a manifest of hashes is written last, then it is moved.

    A failure leaves nothing, so that a full disk is no fuller. A process killed at any moment leaves either nothing or
    a complete directory (and a hidden temporary one, which the next call removes). Raises `UsageError` if ``path``
    exists: nothing is overwritten.
    """
    if path.exists():
        raise UsageError(f"{path} exists and is never overwritten; choose another name or remove it")
    temporary = path.parent / f".{path.name}.writing"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        hashes = {file.name: hash_file(file) for file in sorted(temporary.iterdir())}
        for name in hashes:
            with (temporary / name).open("rb") as stream:
                os.fsync(stream.fileno())
        write_atomic(temporary / MANIFEST, json.dumps(hashes, indent=2) + "\n")
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    sync_directory(path.parent)


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock file ``path``, once no other process does; the lock ends with the process, however that ends.

    Raises BlockingIOError at once where another process holds it, unless ``wait``.
    """
    with path.open("ab") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def verify_directory(path: Path, *, advice: str = "use another checkpoint", apart_from: str = "") -> None:
    """Raise `CheckpointError`, with what to do, unless every file of the manifest is there as it was written.

    ``apart_from``: the name of a file that may be changed or removed.
    """
    try:
        hashes = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        named = [(name, sha256) for name, sha256 in hashes.items() if name != apart_from]
        damaged = [name for name, sha256 in named if hash_file(path / name) != sha256]
    except (OSError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{path}: incomplete or damaged ({error}); {advice}") from error
    if damaged:
        raise CheckpointError(f"{path}: {', '.join(damaged)} changed after saving; {advice}")


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable (a no-op where directories cannot be synced)."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write one JSON object a line, atomically."""
    write_atomic(path, "".join(json_line(row) for row in rows))


def json_line(row: dict[str, Any]) -> str:
    """One line of JSONL, ended by a line feed. Halves of characters, which UTF-8 cannot hold, are escaped."""
    line = json.dumps(row, ensure_ascii=False)
    return (json.dumps(row) if _HALVES.search(line) else line) + "\n"


def raise_defect(defect: DataError) -> None:
    """Stop at the first defect: how files are read unless the caller collects defects."""
    raise defect


def read_lines(path: Path, *, on_defect: Callable[[DataError], None] = raise_defect) -> Iterator[tuple[int, str]]:
    """Yield ``(number, line)`` of a UTF-8 text file, from 1, split at LF or CRLF only and without a BOM.

    Bytes that are not UTF-8 go to ``on_defect`` as a `DataError` with file:line; where it returns, they are read as
    U+FFFD, but no line of UTF-16. Raises `DataError` for a file that cannot be read.
    """
    try:
        with path.open("rb") as stream:
            yield from decoded_lines(stream, str(path), on_defect=on_defect)
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror}); check the path", where=str(path)) from error


def decoded_lines(
    stream: Iterable[bytes], name: str, *, on_defect: Callable[[DataError], None] = raise_defect
) -> Iterator[tuple[int, str]]:
    """As `read_lines`, of a stream that ``name`` stands for in messages."""
    for number, raw in enumerate(stream, 1):
        if number == 1 and raw.startswith(_UTF16):
            on_defect(DataError("UTF-16, not UTF-8; convert it to UTF-8", where=f"{name}:1"))
            return
        line = _decode(raw.removeprefix(_BOM) if number == 1 else raw, f"{name}:{number}", on_defect)
        yield number, line.removesuffix("\n").removesuffix("\r")


def read_jsonl(
    path: Path, *, on_defect: Callable[[DataError], None] = raise_defect
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield ``(file:line, object)`` for every line that is not blank.

    A line that is no JSON object goes to ``on_defect`` as a `DataError`; where it returns, the line is left out.
    """
    for number, line in read_lines(path, on_defect=on_defect):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            row = json.loads(line, object_pairs_hook=unique_keys)
        except (ValueError, RecursionError) as error:
            on_defect(DataError(f"not a JSON object ({error}); each line holds one object", where=where))
            continue
        if isinstance(row, dict):
            yield where, row
        else:
            on_defect(DataError(f"a JSON object was expected, found {type(row).__name__}", where=where))


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object as a dict, for `json.JSONDecoder`. Raises ValueError for a key given twice: JSON keeps the last."""
    row = dict(pairs)
    if len(row) != len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {twice[:40]!a} twice")
    return row


def hash_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_bytes(content: bytes) -> str:
    """The SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def hash_text(*parts: str) -> str:
    """The SHA-256 of the parts, each told apart from its neighbours, in hexadecimal."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


def _decode(raw: bytes, where: str, on_defect: Callable[[DataError], None]) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        on_defect(DataError(f"not UTF-8 at byte {error.start} of the line; convert it to UTF-8", where=where))
        return raw.decode("utf-8", "replace")
