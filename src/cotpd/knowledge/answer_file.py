"""Answers as files: knowledge, and beside it what was rejected, in the order of the questions."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import compress, takewhile
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cotpd.core.errors import DataError
from cotpd.core.files import json_line, read_jsonl, write_atomic
from cotpd.core.records import Grain, Knowledge, Rejection

REJECTIONS = "rejections.jsonl"

_SAME = ("example_id", "grain", "model")
_SAME_REJECTION = (*_SAME, "template")


class AnswerFile:
    """Knowledge in ``path`` and rejections in ``rejections.jsonl`` beside it, one JSON object a line.

    Every row carries the key of its question (``question``); rows without one come from elsewhere and are left alone.
    An answer takes the place of ours to an older question about the same post, grain and model; among rejections, of
    the same template, too, for the wordings share that file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rejections_path = path.with_name(REJECTIONS)

    def read(self, keys: Container[str]) -> dict[str, Knowledge | Rejection]:
        """The answers to these questions. Raises `DataError` with file:line for a row that is none."""
        answers: dict[str, Knowledge | Rejection] = {}
        for path, shape in ((self.rejections_path, _Rejected), (self.path, _Kept)):
            for where, row in _rows(path):
                if (key := _key(row)) in keys:
                    answers[key] = _read_row(where, row, shape)
        return answers

    def write(self, answers: Mapping[str, Knowledge | Rejection]) -> None:
        """Put the answers in their order where the first row stood that they replace, or else behind all rows.

        So the model whose rows come first stays the first. Each file is written whole or not.
        """
        rows = {key: _row(key, answer) for key, answer in answers.items()}
        for path, kind, same in ((self.path, Knowledge, _SAME), (self.rejections_path, Rejection, _SAME_REJECTION)):
            replaced = {_about(row, same) for row in rows.values()}
            old = [row for _, row in _rows(path)]
            stays = [not _key(row) or _about(row, same) not in replaced for row in old]
            staying, place = list(compress(old, stays)), sum(takewhile(bool, stays))
            found = [rows[key] for key, answer in answers.items() if isinstance(answer, kind)]
            _write(path, [*staying[:place], *found, *staying[place:]])


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


def _rows(path: Path) -> Iterable[tuple[str, dict[str, Any]]]:
    return read_jsonl(path) if path.exists() else ()


def _key(row: Mapping[str, Any]) -> str:
    key = row.get("question")
    return key if isinstance(key, str) else ""


def _read_row(where: str, row: dict[str, Any], shape: type[_Kept | _Rejected]) -> Knowledge | Rejection:
    try:
        return shape.model_validate(row).answer()
    except ValidationError as error:
        first = error.errors()[0]
        what = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise DataError(f"not an answer of cotpd elicit ({what}); mend or remove the line", where=where) from error


def _write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    content = "".join(map(json_line, rows)).encode()
    if content != (path.read_bytes() if path.exists() else b""):
        write_atomic(path, content)


def _about(row: Mapping[str, Any], fields: Sequence[str]) -> tuple[str, ...]:
    return tuple(str(row.get(field)) for field in fields)


def _row(key: str, answer: Knowledge | Rejection) -> dict[str, Any]:
    row = {"example_id": answer.example_id, "grain": str(answer.grain)}
    row |= {"model": answer.model, "template": answer.template, "question": key}
    if isinstance(answer, Knowledge):
        return row | {"text": answer.text}
    return row | {"reason": answer.reason, "answer": answer.answer}
