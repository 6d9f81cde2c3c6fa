"""Stores and exports of others: nothing in them is run, and no odd value is served as an answer."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cotpd.core.errors import DataError, StoreError
from cotpd.core.files import json_line
from cotpd.llm.language_model import Answer
from cotpd.llm.store.exchange import import_answers
from cotpd.llm.store.request_store import RequestStore, StoredAnswer
from cotpd.llm.store.salvage import digest_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with one answer."""
    with RequestStore(tmp_path / "requests.sqlite") as store:
        store.add([StoredAnswer("key", "http://localhost/v1", "small", Answer("blue", "stop", 7, 2))])
    return tmp_path / "requests.sqlite"


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


OBJECTS = {
    "trigger spy": "CREATE TRIGGER spy AFTER INSERT ON answers BEGIN DELETE FROM mishaps; END",
    "view spy": "CREATE VIEW spy AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
    "table notes": "CREATE TABLE notes (text TEXT)",
    "table spy": "CREATE VIRTUAL TABLE spy USING fts5(text)",
    "index spy": "CREATE INDEX spy ON answers (abs(at))",
}


@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize("found", OBJECTS)
def test_a_store_with_foreign_objects_is_refused_and_stays_unchanged(found: str, read_only: bool, path: Path) -> None:
    change(path, OBJECTS[found])
    before = path.read_bytes()
    with pytest.raises(StoreError, match=f"holds the {found.replace(' ', ' .')}"):
        RequestStore(path, read_only=read_only)
    assert path.read_bytes() == before


def test_a_view_in_place_of_a_table_is_refused(path: Path) -> None:
    change(path, "DROP TABLE mishaps", "CREATE VIEW mishaps AS SELECT key, model AS reason, answer, at FROM answers")
    with pytest.raises(StoreError, match="holds the view 'mishaps'"):
        RequestStore(path)


def test_a_table_with_code_in_its_columns_is_refused(path: Path) -> None:
    change(path, "DROP TABLE batches", "CREATE TABLE batches (key TEXT, batch TEXT AS (hex(key)), at REAL)")
    with pytest.raises(StoreError, match="holds the table 'batches'"):
        RequestStore(path)


def test_a_damaged_store_with_foreign_objects_is_not_salvaged(path: Path) -> None:
    change(path, OBJECTS["view spy"])
    data = bytearray(path.read_bytes())
    data[:16] = b"\x00" * 16
    path.write_bytes(data)
    with pytest.raises(StoreError, match="holds the view 'spy'"):
        RequestStore(path)
    assert not list(path.parent.glob("*.damaged-*"))


@pytest.mark.parametrize(
    "answer",
    [
        {"text": "blue", "prompt_tokens": -1},
        {"text": "blue", "prompt_tokens": 10**30},
        {"text": "blue", "completion_tokens": True},
        {"text": "blue", "completion_tokens": 2.5},
        {"text": "blue", "completion_tokens": "2"},
        {"text": "blue", "price": 1},
        {"text": 5},
        {"finish_reason": "stop"},
        ["blue"],
        5,
    ],
)
def test_an_odd_answer_is_damage_even_if_its_digest_fits(answer: Any, path: Path) -> None:
    """A digest protects against flipped bits; anybody can compute it."""
    values = ("odd", "http://localhost/v1", "small", json.dumps(answer), None)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, 0)", (*values, digest_of(values)))
    with RequestStore(path) as store:
        assert store.find("odd") is None
        assert [each.key for each in store] == ["key"]
        assert store.num_damaged == 2
        [statistics] = store.statistics()
        assert (statistics.answers, statistics.prompt_tokens, statistics.completion_tokens) == (2, 7, 2)


def test_values_that_are_no_text_are_damage(path: Path) -> None:
    values = ("odd", b"\xff\xfe", b"small", json.dumps({"text": "blue"}), None)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, 0)", (*values, digest_of(values)))
        connection.execute("INSERT INTO batches VALUES ('a', x'ff', 0)")
    with RequestStore(path) as store:
        assert store.find("odd") is None
        assert [each.model for each in store.statistics()] == ["small"]
        assert store.batches() == {}


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("prompt_tokens", -5),
        ("prompt_tokens", 10**25),
        ("prompt_tokens", "12"),
        ("completion_tokens", 1.0),
        ("completion_tokens", False),
        ("completion_tokens", [3]),
    ],
)
def test_an_import_checks_every_number(name: str, count: Any, path: Path, tmp_path: Path) -> None:
    row = {"key": "new", "endpoint": "e", "model": "m", "rejected": None, "answer": {"text": "red", name: count}}
    (tmp_path / "rows.jsonl").write_text(json_line(row))
    with RequestStore(path) as store:
        with pytest.raises(DataError, match=rf"rows\.jsonl:1: .*{name}: expected a whole number from 0"):
            import_answers(store, tmp_path / "rows.jsonl")
        assert store.find("new") is None


def test_a_huge_row_number_does_not_keep_a_salvage_busy(path: Path) -> None:
    change(path, "INSERT INTO mishaps (rowid, key, reason, at) VALUES (9000000000000000000, 'a', 'b', 0)")
    data = bytearray(path.read_bytes())
    data[:16] = b"\x00" * 16
    path.write_bytes(data)
    with RequestStore(path) as store:
        assert store.salvaged == 1


def test_store_files_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o002)
    try:
        with RequestStore(tmp_path / "new" / "requests.sqlite") as store:
            store.add([StoredAnswer("key", "e", "m", Answer("blue"))])
            modes = {file.name: file.stat().st_mode & 0o777 for file in (tmp_path / "new").iterdir()}
    finally:
        os.umask(before)
    assert set(modes.values()) == {0o664}, modes
