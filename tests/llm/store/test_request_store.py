"""The request store: answers are found again, even if the file is damaged or a process is killed."""

from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NoReturn

import pytest

from cotpd.core.errors import StoreError, UsageError
from cotpd.llm.language_model import Answer
from cotpd.llm.store import sqlite_file as store_file
from cotpd.llm.store.request_store import FailedAttempt, RequestStore, StoredAnswer, StoreStatistics

NUM_ANSWERS = 400


def stored(number: int, rejected: str | None = None) -> StoredAnswer:
    answer = Answer(f"Answer {number} is about {'something ' * 20}", "stop", 100, 10, "small-2026")
    return StoredAnswer(f"key-{number:04}", "http://somewhere/v1/", "small", answer, rejected)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "requests.sqlite"


@pytest.fixture
def full(path: Path) -> Path:
    """A store with many answers."""
    with RequestStore(path) as store:
        store.add([stored(number) for number in range(NUM_ANSWERS)], [FailedAttempt("key-0001", "slow down")])
    return path


def num_served(store: RequestStore) -> int:
    """Count the answers that the store serves, and check that each is the one that was stored."""
    served = [(store.find(stored(number).key), stored(number)) for number in range(NUM_ANSWERS)]
    assert all(answer == expected for answer, expected in served if answer)
    return sum(answer is not None for answer, _ in served)


def test_stored_answers_are_found_after_reopening(path: Path) -> None:
    with RequestStore(path) as store:
        store.add([stored(1), stored(2, rejected="empty")], [FailedAttempt("key-0002", "empty", stored(2).answer)])
    with RequestStore(path) as store:
        assert [store.find("key-0001"), store.find("key-0002")] == [stored(1), stored(2, rejected="empty")]
        assert store.find("key-0003") is None
        assert list(store) == [stored(1), stored(2, rejected="empty")]
        assert list(store.failed_attempts()) == [FailedAttempt("key-0002", "empty", stored(2).answer)]
        assert store.statistics() == [StoreStatistics("http://somewhere/v1/", "small", 2, 1, 200, 20)]
        assert store.salvaged is None


def test_a_second_writer_is_an_error_that_names_the_first(full: Path) -> None:
    """Two writers would pay twice."""
    with RequestStore(full), pytest.raises(StoreError, match=f"process {os.getpid()} on .* is writing to this store"):
        RequestStore(full)
    RequestStore(full).close()


@pytest.mark.slow
def test_a_killed_process_loses_no_answer_and_holds_no_lock(path: Path) -> None:
    program = "import os, sys; from pathlib import Path; from cotpd.llm.store.request_store import RequestStore\n"
    program += "from cotpd.llm.store.request_store import StoredAnswer, Answer\n"
    program += "store = RequestStore(Path(sys.argv[1])); store.add([StoredAnswer('key', '', 'm', Answer('x'))])\n"
    program += "os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", program, path])
    with RequestStore(path) as store:
        assert (len(list(store)), store.salvaged) == (1, None)
    assert sorted(each.name for each in path.parent.iterdir()) == ["requests.sqlite", "requests.sqlite.lock"]


def test_a_store_can_be_read_while_it_is_written(full: Path) -> None:
    with RequestStore(full), RequestStore(full, read_only=True) as reader:
        assert num_served(reader) == NUM_ANSWERS


def damage(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    match how:
        case "header":
            data[:16] = b"\xff" * 16
        case "schema":
            data[100:104] = b"\xff" * 4
        case "leaf":
            data[middle : middle + 64] = b"\xff" * 64
        case "many":
            for start in range(3 * 4096, len(data) - 4096, 5 * 4096):
                data[start : start + 8] = b"\xff" * 8
        case "cut":
            del data[len(data) * 3 // 4 :]
        case "cut-page":
            del data[len(data) - 4096 :]
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("how", "least"), [("header", 400), ("leaf", 350), ("many", 200), ("cut", 150), ("cut-page", 350), ("schema", 0)]
)
def test_a_damaged_store_is_set_aside_and_salvaged(
    how: str, least: int, full: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Damage never ends a run, loses readable answers or creates wrong ones."""
    damage(full, how)
    damaged = full.read_bytes()
    with caplog.at_level(logging.WARNING), RequestStore(full) as store:
        assert store.salvaged is not None
        assert store.salvaged == num_served(store) >= least
        store.add([stored(7)])
    assert full.with_name("requests.sqlite.damaged-1").read_bytes() == damaged
    assert "was damaged; it was moved to" in caplog.text
    with RequestStore(full) as store:
        assert store.salvaged is None
        assert store.find("key-0007") == stored(7)


@pytest.mark.parametrize(
    "flipped", [b'{"text": "Answer 71 is', b'{"text": "\xc1nswer 17 is', b'z"text": "Answer 17 is']
)
def test_an_answer_with_a_flipped_byte_is_never_served(flipped: bytes, full: Path) -> None:
    """SQLite's own check does not notice it."""
    data = full.read_bytes()
    full.write_bytes(data.replace(b'{"text": "Answer 17 is', flipped))
    with RequestStore(full) as store:
        assert store.find("key-0017") is None
        assert (store.salvaged, store.num_damaged, num_served(store)) == (None, 1, NUM_ANSWERS - 1)
        assert len(list(store)) == NUM_ANSWERS - 1
        assert store.statistics()[0].answers == NUM_ANSWERS
        store.add([stored(17)])
        assert store.find("key-0017") == stored(17)


@pytest.mark.parametrize("flipped", [b'z"text": "dull"', b'{"tuxt": "dull"'])
def test_a_failed_attempt_with_a_flipped_byte_is_counted(flipped: bytes, path: Path) -> None:
    with RequestStore(path) as store:
        store.add([], [FailedAttempt("key", "dull", Answer("dull"))])
    path.write_bytes(path.read_bytes().replace(b'{"text": "dull"', flipped))
    with RequestStore(path) as store:
        assert (list(store.failed_attempts()), store.num_damaged) == ([FailedAttempt("key", "dull")], 1)


def test_a_damaged_page_is_an_error_in_a_read_only_store(full: Path) -> None:
    damage(full, "leaf")
    with RequestStore(full, read_only=True) as store, pytest.raises(StoreError, match=r"cannot be read .* --repair"):
        list(store)


class Interrupted(BaseException):
    """Like a kill: only `finally` blocks run after it."""


@pytest.mark.parametrize("moment", ["salvage", "before", "between"])
def test_an_interrupted_salvage_is_repeated(moment: str, full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damage(full, "leaf")
    rename = Path.rename

    def stop(*_: object) -> NoReturn:
        raise Interrupted

    def rename_or_stop(source: Path, target: Path) -> Path:
        is_moment = source == full if moment == "before" else target == full
        return stop() if is_moment else rename(source, target)

    with monkeypatch.context() as patch:
        if moment == "salvage":
            patch.setattr(store_file, "salvage", stop)
        patch.setattr(Path, "rename", rename_or_stop)
        with pytest.raises(Interrupted):
            RequestStore(full)
    with RequestStore(full) as store:
        assert num_served(store) >= 350
    assert sorted(each.name for each in full.parent.iterdir()) == [
        "requests.sqlite",
        "requests.sqlite.damaged-1",
        "requests.sqlite.lock",
    ]


def test_damage_to_an_open_store_is_an_error(full: Path) -> None:
    with RequestStore(full) as store:
        store._connection.execute("DROP TABLE answers")
        with pytest.raises(StoreError, match="cannot be read"):
            store.find("key-0001")


def test_an_empty_file_is_a_new_store(path: Path) -> None:
    path.touch()
    with RequestStore(path) as store:
        store.add([stored(1)])
        assert store.salvaged is None


@pytest.mark.parametrize("content", [b'{"id": "train-001"}\n' * 50, b"\x00" * 4096])
def test_a_file_of_another_kind_stays_unchanged(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    with pytest.raises(StoreError, match="not a request store"):
        RequestStore(path)
    assert path.read_bytes() == content
    path.unlink()
    RequestStore(path).close()


def test_another_database_stays_unchanged(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("CREATE TABLE answers (mine TEXT)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="not a request store"):
        RequestStore(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("read_only", [True, False])
def test_a_store_of_a_newer_version_stays_unchanged(read_only: bool, full: Path) -> None:
    with closing(sqlite3.connect(full)) as newer, newer:
        newer.execute("PRAGMA user_version = 2")
    newer.close()
    before = full.read_bytes()
    with pytest.raises(StoreError, match="written by a newer cotpd"):
        RequestStore(full, read_only=read_only)
    assert full.read_bytes() == before


def test_a_full_disk_loses_no_stored_answer(full: Path) -> None:
    with RequestStore(full) as store:
        [pages] = store._connection.execute("PRAGMA page_count").fetchone()
        store._connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StoreError, match="full; free disk space and run again"):
            store.add([stored(number) for number in range(1_000, 9_000)])
        assert num_served(store) == NUM_ANSWERS
        assert store.find("key-1000") is None
    with RequestStore(full) as store:
        assert (store.salvaged, num_served(store)) == (None, NUM_ANSWERS)
        store.add([stored(1_000)])


@pytest.mark.parametrize(
    ("code", "what"), [(sqlite3.SQLITE_FULL, "disk is full"), (sqlite3.SQLITE_IOERR_SHMSIZE, "disk I/O error")]
)
def test_a_full_disk_is_not_taken_for_damage(code: int, what: str, full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise an intact store would be set aside, and all answers paid for again."""
    before = full.read_bytes()

    def fail(path: Path) -> sqlite3.Connection:
        error = sqlite3.OperationalError(what)
        error.sqlite_errorcode = code
        raise error

    monkeypatch.setattr(store_file, "_open", fail)
    with pytest.raises(StoreError, match=f"cannot be opened .*{what}.*free disk space"):
        RequestStore(full)
    assert full.read_bytes() == before
    assert not list(full.parent.glob("*.damaged-*"))


def test_a_store_that_another_program_reads_is_in_use(full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", partial(connect, timeout=0))
    with closing(connect(full)) as reader:
        reader.execute("BEGIN").execute("SELECT * FROM answers").fetchone()
        with pytest.raises(StoreError, match=r"cannot be opened [(]database is locked[)]; .*wait for the process"):
            RequestStore(full)
    with RequestStore(full) as store:
        assert (store.salvaged, num_served(store)) == (None, NUM_ANSWERS)


def test_a_file_without_write_permission_is_opened_for_reading(full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: path != full)
    with RequestStore(full) as store, RequestStore(full) as other:
        assert store.read_only
        assert num_served(other) == NUM_ANSWERS


def test_a_link_to_a_store_shares_its_lock(full: Path) -> None:
    link = full.with_name("link.sqlite")
    link.symlink_to(full)
    with RequestStore(full), pytest.raises(StoreError, match="is writing to this store"):
        RequestStore(link)


@pytest.mark.parametrize("is_requested", [True, False])
def test_a_store_in_a_read_only_directory_is_opened_for_reading(
    is_requested: bool, full: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, opened = full.with_name("requests.sqlite.lock"), os.open

    def refuse(path: Path, *rest: int) -> int:
        if path == lock:
            raise PermissionError(13, "Permission denied")
        return opened(path, *rest)

    monkeypatch.setattr(os, "open", refuse)
    with RequestStore(full, read_only=is_requested) as store:
        assert store.read_only
        assert num_served(store) == NUM_ANSWERS
        with pytest.raises(StoreError, match="the store is read-only"):
            store.add([stored(1)])


def test_a_missing_store_cannot_be_opened_for_reading(path: Path) -> None:
    with pytest.raises(StoreError, match="there is no request store"):
        RequestStore(path, read_only=True)


def test_lone_surrogates_and_control_characters_are_stored(path: Path) -> None:
    odd = StoredAnswer("key", "", "m", Answer("half \ud83d, NUL \x00, \u2028 and 👩\u200d🚀"))
    with RequestStore(path) as store:
        store.add([odd])
        assert store.find("key") == odd


@pytest.mark.parametrize("read_only", [True, False])
def test_a_linked_lock_file_leads_to_no_other_file(read_only: bool, full: Path, tmp_path: Path) -> None:
    """A corpus from elsewhere can bring the lock file of its store."""
    notes, lock = tmp_path / "notes.txt", full.with_name("requests.sqlite.lock")
    notes.write_text("mine\n")
    lock.unlink()
    lock.symlink_to(notes)
    if read_only:
        RequestStore(full, read_only=True).close()
    else:
        with pytest.raises(UsageError, match=r"requests\.sqlite\.lock: .* symbolic link"):
            RequestStore(full)
    assert notes.read_text() == "mine\n"


def test_a_loop_of_links_is_no_store(path: Path) -> None:
    path.symlink_to(path)
    with pytest.raises(StoreError, match="cannot be opened"):
        RequestStore(path)


def test_the_first_transaction_of_each_second_waits_for_the_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So a loss of power costs at most the answers of one second."""
    now = [100.0]
    monkeypatch.setattr("cotpd.llm.store.request_store.time.monotonic", lambda: now[0])
    modes = []
    with RequestStore(path) as store:
        for now[0] in (100.0, 100.5, 101.0, 101.5, 101.99, 102.0):
            store.add([stored(1)])
            modes += store._connection.execute("PRAGMA synchronous").fetchone()
    full, normal = 2, 1
    assert modes == [full, normal, full, normal, normal, full]
