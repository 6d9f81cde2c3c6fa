"""The answers kept in files as they come, so that a stopped elicitation goes on where it was."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cotpd.core.errors import DataError
from cotpd.core.files import json_line, read_jsonl, sync_directory
from cotpd.core.records import Grain, Knowledge, Rejection

REJECTIONS = "rejections.jsonl"


class AnswerFile:
    """Knowledge in ``path`` and rejections in ``rejections.jsonl`` beside it, one JSON object a line.

    Every row carries the key of its question (``question``); rows without one come from elsewhere and are left alone.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rejections_path = path.with_name(REJECTIONS)

    def mend(self) -> None:
        """Drop a last line that a kill has torn, so that its question is asked again."""
        for path in (self.path, self.rejections_path):
            if path.exists():
                _mend(path)

    def read(self) -> dict[str, Knowledge | Rejection]:
        """The answers by the key of their question. Raises `DataError` with file:line for a row that is none."""
        answers: dict[str, Knowledge | Rejection] = {}
        for path, shape in ((self.rejections_path, _Rejected), (self.path, _Kept)):
            for where, row in read_jsonl(path) if path.exists() else ():
                if "question" in row:
                    answers[row["question"]] = _read_row(where, row, shape)
        return answers

    def add(self, key: str, answer: Knowledge | Rejection) -> None:
        """Append one answer and wait until it is on the disk."""
        _append(self.path if isinstance(answer, Knowledge) else self.rejections_path, _row(key, answer))


class _Row(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    example_id: str
    grain: Grain = Field(strict=False)
    model: str
    template: str
    question: str


class _Kept(_Row):
    text: str

    def answer(self) -> Knowledge:
        return Knowledge(self.grain, self.text, self.model, self.template, self.example_id)


class _Rejected(_Row):
    reason: str
    said: str = Field(alias="answer")

    def answer(self) -> Rejection:
        return Rejection(self.example_id, self.grain, self.reason, self.said, self.model, self.template)


def _read_row(where: str, row: dict[str, Any], shape: type[_Kept | _Rejected]) -> Knowledge | Rejection:
    try:
        return shape.model_validate(row).answer()
    except ValidationError as error:
        first = error.errors()[0]
        what = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise DataError(f"not an answer of cotpd elicit ({what}); mend or remove the line", where=where) from error


def _row(key: str, answer: Knowledge | Rejection) -> dict[str, Any]:
    row = {"example_id": answer.example_id, "grain": str(answer.grain)}
    row |= {"model": answer.model, "template": answer.template, "question": key}
    if isinstance(answer, Knowledge):
        return row | {"text": answer.text}
    return row | {"reason": answer.reason, "answer": answer.answer}


def _append(path: Path, row: dict[str, Any]) -> None:
    is_new = not path.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as stream:
        stream.write(json_line(row).encode())
        stream.flush()
        os.fsync(stream.fileno())
    if is_new:
        sync_directory(path.parent)


def _mend(path: Path) -> None:
    data = path.read_bytes()
    start = data.rfind(b"\n") + 1
    if start == len(data):
        return
    with path.open("r+b") as stream:
        if _is_object(data[start:]):
            stream.seek(0, os.SEEK_END)
            stream.write(b"\n")
        else:
            stream.truncate(start)


def _is_object(data: bytes) -> bool:
    try:
        return isinstance(json.loads(data), dict)
    except ValueError:
        return False
