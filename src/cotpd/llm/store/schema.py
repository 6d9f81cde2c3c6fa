"""The tables of a request store, and the check that a file has nothing else that SQLite would run."""

from __future__ import annotations

import sqlite3

APPLICATION = 0x436F5450
VERSION = 1
_TABLES = {
    "answers": """CREATE TABLE answers (key TEXT PRIMARY KEY, endpoint TEXT NOT NULL, model TEXT NOT NULL,
                  answer TEXT NOT NULL, rejected TEXT, digest TEXT NOT NULL, at REAL NOT NULL)""",
    "mishaps": "CREATE TABLE mishaps (key TEXT NOT NULL, reason TEXT NOT NULL, answer TEXT, at REAL NOT NULL)",
    "batches": "CREATE TABLE batches (key TEXT PRIMARY KEY, batch TEXT NOT NULL, at REAL NOT NULL)",
}
SCHEMA = f"""
    BEGIN;
    {"; ".join(_TABLES.values())};
    PRAGMA application_id = {APPLICATION};
    PRAGMA user_version = {VERSION};
    COMMIT;
"""
TABLES = tuple(_TABLES)


def foreign_object(connection: sqlite3.Connection) -> str:
    """Return the kind and name of a trigger, view, index or table that a store does not have; empty if there is none.

    Such objects would be run by reading or writing the store of somebody else. They are read as bytes, because a name
    may be no text.
    """
    expected = {name: _normalised(statement) for name, statement in _TABLES.items()}
    columns = ", ".join(f"CAST({name} AS BLOB)" for name in ("type", "name", "tbl_name", "sql"))
    for row in connection.execute(f"SELECT {columns} FROM sqlite_master"):
        kind, name, table, statement = ((value or b"").decode("utf-8", "replace") for value in row)
        is_own_table = kind == "table" and expected.get(name) == _normalised(statement)
        is_own_index = kind == "index" and not statement and table in expected
        if not is_own_table and not is_own_index:
            return f"{kind} {name[:60]!a}"
    return ""


def _normalised(statement: str) -> str:
    return " ".join(statement.split())
