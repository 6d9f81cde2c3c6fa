"""The page of promises is complete, and every test that it names exists."""

import ast
import re
from functools import cache
from pathlib import Path

NUM_PROMISES = 63


@cache
def names_in(path: Path) -> set[str]:
    """Return the names of the tests at the top of a file, in which a stateful test is an assignment."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Assign(targets=[ast.Name(id=name)]):
                names.add(name)
    return names


def rows(root: Path) -> list[list[str]]:
    text = (root / "docs" / "explanation" / "reliability.md").read_text(encoding="utf-8")
    return [line.strip("| ").split(" | ") for line in text.splitlines() if re.match(r"\| \d+ \|", line)]


def test_every_promise_is_listed_once_in_order(root: Path) -> None:
    assert [int(row[0]) for row in rows(root)] == list(range(1, NUM_PROMISES + 1))


def test_every_promise_names_tests_that_exist(root: Path) -> None:
    missing = []
    for number, promise, tests in rows(root):
        assert promise.endswith((".", ").")), number
        named = re.findall(r"`([^`]+)::(\w+)`", tests)
        assert named or tests in ("not built yet", "tests follow"), f"promise {number} names no test"
        for file, name in named:
            path = root / "tests" / file
            if not path.is_file() or not name.lower().startswith("test") or name not in names_in(path):
                missing.append(f"{number}: {file}::{name}")
    assert missing == []
