"""Locks: one process at a time, and no file of another kind is changed."""

import os
from pathlib import Path

import pytest

from cotpd.core.errors import UsageError
from cotpd.core.guards.locks import locked


def test_the_second_holder_learns_who_the_first_is(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with locked(path):
        with pytest.raises(BlockingIOError) as caught, locked(path, wait=False):
            pass
        assert str(caught.value.strerror).startswith(f"process {os.getpid()} on ")
    with locked(path, wait=False):
        pass


@pytest.mark.parametrize("wait", [True, False])
def test_a_link_is_never_followed(tmp_path: Path, wait: bool) -> None:
    """A downloaded corpus can bring one that points at any file of the user."""
    for target in ("diary.txt", "nothing yet"):
        (tmp_path / "diary.txt").write_text("Monday: rain\n")
        link = tmp_path / f"{target}.lock"
        link.symlink_to(target)
        with pytest.raises(UsageError, match="found a symbolic link; remove it"), locked(link, wait=wait):
            pass
    assert (tmp_path / "diary.txt").read_text() == "Monday: rain\n"
    assert not (tmp_path / "nothing yet").exists()


def test_a_link_that_appears_between_check_and_opening_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "diary.txt").touch()
    (tmp_path / "a.lock").symlink_to("diary.txt")
    monkeypatch.setattr(Path, "is_symlink", lambda _: False)
    with pytest.raises(OSError, match="symbolic links"), locked(tmp_path / "a.lock"):
        pass
    assert (tmp_path / "diary.txt").read_bytes() == b""


@pytest.mark.parametrize("content", ["Monday: rain\n", "process 1 on a\nMonday: rain\n", "x" * 10_000, "\x00"])
def test_another_file_of_the_name_stays_unchanged(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.lock"
    path.write_text(content)
    with pytest.raises(UsageError, match="found another file of this name; move it away"), locked(path):
        pass
    assert path.read_text() == content


def test_a_pipe_is_refused_without_waiting_for_its_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.lock")
    with pytest.raises(UsageError, match="found another file"), locked(tmp_path / "a.lock"):
        pass


def test_a_lock_file_follows_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o002)
    try:
        with locked(tmp_path / "a.lock"):
            assert (tmp_path / "a.lock").stat().st_mode & 0o777 == 0o664
    finally:
        os.umask(before)
