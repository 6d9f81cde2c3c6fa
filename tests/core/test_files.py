"""Files are written completely or not at all, and damage is detected."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cotpd.core.errors import CheckpointError, DataError, UsageError
from cotpd.core.files import new_directory, read_jsonl, read_lines, verify_directory, write_atomic


def test_failed_write_keeps_the_old_file_and_leaves_no_temporary_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    write_atomic(path, "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device; the file was not changed: free some space") as caught:
        write_atomic(path, "new")
    assert caught.value.filename == str(path)
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_pipe_is_written_directly(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_atomic(tmp_path / "link", "new")
    assert os.read(reader, 9) == b"new"
    os.close(reader)
    assert (tmp_path / "pipe").is_fifo()


def test_symbolic_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("a.json")
    for content in ("old", "new"):
        write_atomic(tmp_path / "link", content)
        assert (tmp_path / "a.json").read_text(encoding="utf-8") == content
    assert (tmp_path / "link").is_symlink()


def test_new_file_follows_the_umask_and_existing_file_keeps_its_mode(tmp_path: Path) -> None:
    path, before = tmp_path / "a.json", os.umask(0o027)
    try:
        write_atomic(path, "new")
        assert path.stat().st_mode & 0o777 == 0o640
        path.chmod(0o600)
        write_atomic(path, "newer")
        assert path.stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(before)


def test_files_of_a_new_directory_follow_the_umask(tmp_path: Path) -> None:
    """Some libraries write files that only their owner can read."""
    before = os.umask(0o027)
    try:
        with new_directory(tmp_path / "d") as directory:
            (directory / "private").touch(mode=0o600)
            (directory / "usual").touch()
        assert {file.stat().st_mode & 0o777 for file in (tmp_path / "d").iterdir()} == {0o640}
        assert (tmp_path / "d").stat().st_mode & 0o777 == 0o750
    finally:
        os.umask(before)


def test_failed_directory_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"), new_directory(tmp_path / "d"):
        full(0)
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space") as caught, new_directory(tmp_path / "d") as directory:
        (directory / "x").write_text("1")
    assert "d" in str(caught.value.filename)
    assert not list(tmp_path.iterdir())


def test_lines_end_at_line_feeds_only(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffa\u2028b\u0085c\r\nd\x0be".encode())
    assert list(read_lines(path)) == [(1, "a\u2028b\u0085c"), (2, "d\x0be")]


def test_bad_line_is_named_in_the_error(tmp_path: Path) -> None:
    for content in (
        b'{"a": 1}\n{"a": \n',
        b'{"a": 1}\n[1]\n',
        b'{"a": 1}\n\xff\n',
        b"\n" + b"[" * 100_000,
    ):
        path = tmp_path / "a.jsonl"
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"a\.jsonl:2"):
            list(read_jsonl(path))


def test_directory_is_never_overwritten_and_damage_is_detected(tmp_path: Path) -> None:
    with new_directory(tmp_path / "d") as directory:
        (directory / "x").write_text("1")
    verify_directory(tmp_path / "d")
    with pytest.raises(UsageError, match="never overwritten"), new_directory(tmp_path / "d"):
        pass
    (tmp_path / "d" / "x").write_text("2")
    with pytest.raises(CheckpointError, match="x changed"):
        verify_directory(tmp_path / "d")


def test_directory_with_an_invalid_manifest_is_rejected(tmp_path: Path) -> None:
    for content in ("[]", "{", json.dumps({"absent": "0"})):
        (tmp_path / "manifest.json").write_text(content)
        with pytest.raises(CheckpointError):
            verify_directory(tmp_path)


_WRITER = """
import sys, time
from pathlib import Path
from cotpd.core.files import new_directory
with new_directory(Path(sys.argv[1])) as directory:
    for number in range(100):
        (directory / f"f{number}").write_bytes(b"x" * 100_000)
        print(number, flush=True)
        time.sleep(0.002)
"""


@pytest.mark.slow
@pytest.mark.parametrize("stop_at", [1, 40, 99])
def test_killed_writer_leaves_no_directory_or_a_complete_one(stop_at: int, tmp_path: Path) -> None:
    target = tmp_path / "d"
    process = subprocess.Popen([sys.executable, "-c", _WRITER, str(target)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    for line in process.stdout:
        if int(line) >= stop_at:
            break
    time.sleep(0.003 * (stop_at % 7))
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    if target.exists():
        verify_directory(target)
    else:
        with new_directory(target) as directory:
            (directory / "x").write_text("1")
        assert sorted(path.name for path in target.iterdir()) == ["manifest.json", "x"]
