"""Fixtures that read a file in any format and check that every reported defect is helpful."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from cotpd.core.records import Example
from cotpd.corpus.defects import Defect, Severity
from cotpd.corpus.formats import FORMATS
from cotpd.corpus.formats.parsing.reading import Reading

Read = Callable[..., tuple[list[Example], list[Defect]]]

_ACTION = re.compile(
    r"\b(add|change|check|convert|correct|end|expected|export|fill|give|name|remove|rename|save|set|split|write)\b"
)


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Write a file and read it: ``read("tacred", content, ann=annotations of BRAT, **options of the reader)``."""

    def write_and_read(name: str, content: str | bytes, *, ann: str | None = None, **options: Any) -> Any:
        path = tmp_path / f"a{FORMATS[name].suffix}"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        if ann is not None:
            path.with_suffix(".ann").write_bytes(ann.encode())
        defects: list[Defect] = []
        rows = list(FORMATS[name].read(path, Reading(defects.append, **options)))
        check_defects(defects, tmp_path)
        return [row.example for row in rows], defects

    return write_and_read


def check_defects(defects: Iterable[Defect], folder: Path) -> None:
    """Assert that every defect is one short printable line with its file, and every error has a line and a remedy."""
    for defect in defects:
        assert defect.where.startswith(str(folder)), defect
        assert len(defect.message) < 400, defect
        assert defect.message.isprintable(), defect
        if defect.severity is Severity.ERROR:
            assert re.search(r":\d+(\[\d+\])?$", defect.where), f"no line number: {defect}"
            assert _ACTION.search(defect.message.lower()), f"no remedy: {defect}"


def line_of(defect: Defect) -> int:
    """Return the line number of a defect."""
    return int(defect.where.rpartition(":")[2])
