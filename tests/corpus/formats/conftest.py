"""A reader of any format, at hand: its examples and every defect."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cotpd.core.records import Example
from cotpd.corpus.defects import Defect
from cotpd.corpus.formats import FORMATS
from cotpd.corpus.formats.parsing.reading import Reading

Read = Callable[..., tuple[list[Example], list[Defect]]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Write a file and read it: ``read("tacred", content, …hints)``; of BRAT, the annotations are given, too."""

    def write_and_read(name: str, content: str, *, ann: str | None = None, **hints: Any) -> Any:
        path = tmp_path / f"a{FORMATS[name].suffix}"
        path.write_bytes(content.encode())
        if ann is not None:
            path.with_suffix(".ann").write_bytes(ann.encode())
        defects: list[Defect] = []
        rows = list(FORMATS[name].read(path, Reading(defects.append, **hints)))
        return [row.example for row in rows], defects

    return write_and_read
