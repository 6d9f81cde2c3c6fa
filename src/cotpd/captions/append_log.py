"""A JSONL file that grows while work goes on, so that stopped work goes on where it was."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from cotpd.core.errors import DataError
from cotpd.core.files import json_line, read_jsonl, sync_directory

_ROW_START = b'{"'


class RowFile:
    """Rows of JSON in ``path``, appended and never changed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def mend(self) -> None:
        """Drop a last line that a kill has torn; end one that is whole.

        Raises `DataError`, and changes nothing, where another line is no row or the last one not the beginning of one.
        """
        data = self.path.read_bytes() if self.path.exists() else b""
        start = data.rfind(b"\n") + 1
        last, number = data[start:], data.count(b"\n") + 1
        if not last:
            return
        self._refuse_others(number, last)
        with self.path.open("r+b") as stream:
            if _is_object(last):
                stream.seek(0, os.SEEK_END)
                stream.write(b"\n")
            else:
                stream.truncate(start)

    def read(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """``(file:line, row)`` of each line, nothing without a file. Raises `DataError` for a line that is no row."""
        return read_jsonl(self.path) if self.path.exists() else iter(())

    def append(self, rows: Iterable[dict[str, Any]]) -> None:
        """Append rows and wait until they are on the disk; no rows make no file."""
        data = "".join(map(json_line, rows)).encode()
        if not data:
            return
        is_new = not self.path.exists()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        if is_new:
            sync_directory(self.path.parent)

    def _refuse_others(self, number: int, last: bytes) -> None:
        def refuse(defect: DataError) -> None:
            if defect.where != f"{self.path}:{number}" or not _ROW_START.startswith(last[:2]):
                raise defect

        for _ in read_jsonl(self.path, on_defect=refuse):
            pass


def _is_object(data: bytes) -> bool:
    try:
        return isinstance(json.loads(data), dict)
    except ValueError:
        return False
