"""Atomic writing, reading of text lines and JSON lines with error positions, and content hashes."""

from __future__ import annotations

import errno
import hashlib
import json
import math
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
"""The name of the file that lists the SHA-256 of all other files of a directory."""

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
"""Error codes of a full disk."""

_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_SURROGATE = re.compile("[\ud800-\udfff]")


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write ``content`` to ``path`` completely or not at all. Strings are encoded as UTF-8."""
    with atomic_writer(path) as stream:
        stream.write(content.encode("utf-8") if isinstance(content, str) else content)


@contextmanager
def atomic_writer(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file that replaces ``path`` when the block ends, so that readers never see a partial file.

    Symbolic links are followed, and an existing file keeps its mode. Pipes and devices are written directly.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as stream:
            yield stream
        return
    path = real_path(path)
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
    except OSError as error:
        raise named_if_full(error, path, safe="the file was not changed") from error
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(path.parent)


@contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """Create a temporary directory that becomes ``path`` when the block ends, with a manifest of file hashes.

    If the block fails, the temporary directory is removed. If the process is killed, ``path`` is either missing or
    complete; the next call removes the hidden temporary directory.

    Raises:
        UsageError: If ``path`` exists.
    """
    if path.exists():
        raise UsageError(f"{path} exists and is never overwritten; choose another name or remove it")
    temporary = path.parent / f".{path.name}.writing"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        hashes = {file.name: hash_file(file) for file in sorted(temporary.iterdir())}
        write_atomic(temporary / MANIFEST, json.dumps(hashes, indent=2) + "\n")
        for name in hashes:
            with (temporary / name).open("rb") as stream:
                os.fsync(stream.fileno())
            shutil.copymode(temporary / MANIFEST, temporary / name)  # safetensors writes files that others cannot read
        temporary.rename(path)
    except OSError as error:
        raise named_if_full(error, path, safe="nothing of it was kept") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    sync_directory(path.parent)


def named_if_full(error: OSError, path: Path, *, safe: str) -> OSError:
    """Return the error of a full disk with its path and what is safe; return other errors unchanged."""
    if error.errno not in DISK_FULL or ";" in str(error.strerror):
        return error
    return OSError(error.errno, f"{error.strerror}; {safe}: free some space and run again", str(path))


def real_path(path: Path) -> Path:
    """Return the absolute path without symbolic links. `Path.resolve` raises RuntimeError for a loop of links."""
    return Path(os.path.realpath(path))


def verify_directory(path: Path, *, advice: str = "use another checkpoint", ignore: str = "") -> None:
    """Check that the files of a directory match its manifest.

    Args:
        path: A directory made by `new_directory`.
        advice: What to do if the check fails, for the message.
        ignore: The name of a file that may be changed or missing.

    Raises:
        CheckpointError: If the manifest or a file is missing or changed.
    """
    try:
        hashes = _read_manifest(path)
        damaged = [name for name, sha256 in hashes.items() if name != ignore and hash_file(path / name) != sha256]
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: incomplete or damaged ({error}); {advice}") from error
    if damaged:
        raise CheckpointError(f"{path}: {', '.join(damaged)} changed since it was saved; {advice}")


def _read_manifest(path: Path) -> dict[str, Any]:
    """Return the hashes of a directory's files. Raises ValueError for a name that leads elsewhere, or to no file."""
    hashes = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    if not isinstance(hashes, dict):
        raise ValueError(f"{MANIFEST} is not a JSON object")
    for name in hashes:
        if Path(name).name != name or name == "..":
            raise ValueError(f"{name!r} is not the name of a file in this directory")
        if (path / name).exists() and not (path / name).is_file():
            raise ValueError(f"{name} is not a file")
    return hashes


def sync_directory(path: Path) -> None:
    """Sync the entries of a directory to disk, on platforms that support it."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write one JSON object per line, atomically."""
    write_atomic(path, "".join(json_line(row) for row in rows))


def json_line(row: dict[str, Any]) -> str:
    """Format one line of JSONL with its line feed. Lone surrogates are escaped, since UTF-8 cannot encode them."""
    line = json.dumps(row, ensure_ascii=False)
    return (json.dumps(row) if _SURROGATE.search(line) else line) + "\n"


def raise_defect(defect: DataError) -> None:
    """Raise a defect: the default of the readers below, which stops at the first one."""
    raise defect


def read_lines(path: Path, *, on_defect: Callable[[DataError], None] = raise_defect) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines of a UTF-8 text file.

    Lines end at LF or CRLF only. A byte order mark at the start is removed.

    Args:
        path: The file.
        on_defect: Receives a `DataError` with ``file:line`` for bytes that are not UTF-8. If it returns, they are read
            as U+FFFD; a UTF-16 file yields no lines.

    Yields:
        The number of the line, from 1, and its text without the line end.

    Raises:
        DataError: If the file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            yield from decode_lines(stream, str(path), on_defect=on_defect)
    except OSError as error:
        message = f"cannot read the file ({error.strerror}); check the path and its permissions"
        raise DataError(message, where=str(path)) from error


def decode_lines(
    stream: Iterable[bytes], name: str, *, on_defect: Callable[[DataError], None] = raise_defect
) -> Iterator[tuple[int, str]]:
    """Yield numbered lines like `read_lines`, from a binary stream that messages call ``name``."""
    for number, raw in enumerate(stream, 1):
        if number == 1 and raw.startswith(_UTF16):
            on_defect(DataError("the file is UTF-16; convert it to UTF-8", where=f"{name}:1"))
            return
        line = _decode(raw.removeprefix(_BOM) if number == 1 else raw, f"{name}:{number}", on_defect)
        yield number, line.removesuffix("\n").removesuffix("\r")


def read_jsonl(
    path: Path, *, on_defect: Callable[[DataError], None] = raise_defect, only_finite: bool = False
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the objects of a JSON Lines file with their ``file:line``. Blank lines are skipped.

    Args:
        path: The file.
        on_defect: Receives a `DataError` for a line that is not a JSON object. If it returns, the line is skipped.
        only_finite: Whether NaN, infinity and numbers too large for a float are defects, since JSON has none of them.
    """
    decoder = _FINITE_DECODER if only_finite else _DECODER
    for number, line in read_lines(path, on_defect=on_defect):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            row = decoder.decode(line)
        except (ValueError, RecursionError) as error:
            on_defect(DataError(f"not a JSON object ({error}); write one object per line", where=where))
            continue
        if isinstance(row, dict):
            yield where, row
        else:
            message = f"expected a JSON object, got {type(row).__name__}; write one object per line"
            on_defect(DataError(message, where=where))


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build a dict from JSON members, as an ``object_pairs_hook``.

    Raises:
        ValueError: If a key occurs twice. `json` by itself would silently keep the last value.
    """
    row = dict(pairs)
    if len(row) != len(pairs):
        repeated = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {repeated[:40]!a} occurs twice")
    return row


def _finite_float(text: str) -> float:
    """Convert a number of JSON, as a ``parse_float`` hook.

    Raises:
        ValueError: If it is too large. `json` would return infinity, which JSON cannot express when it is written.
    """
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"the number {text[:40]} is too large")
    return number


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is not a number of JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=unique_keys)
_FINITE_DECODER = json.JSONDecoder(object_pairs_hook=unique_keys, parse_constant=_refuse, parse_float=_finite_float)


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_bytes(content: bytes) -> str:
    """Return the SHA-256 of bytes in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def hash_text(*parts: str) -> str:
    """Return the SHA-256 of the parts in hexadecimal. Each part is prefixed with its length, so boundaries matter."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


def _decode(raw: bytes, where: str, on_defect: Callable[[DataError], None]) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"byte {error.start + 1} of the line is not valid UTF-8; convert the file to UTF-8"
        on_defect(DataError(message, where=where))
        return raw.decode("utf-8", "replace")
