"""Captions and rejected images kept in files as they come, several captioners side by side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from cotpd.captions.append_log import RowFile
from cotpd.captions.captioner import ImageRejection
from cotpd.core.errors import DataError
from cotpd.core.files import locked, write_jsonl
from cotpd.core.records import Caption

Outcome = Caption | ImageRejection

FOREIGN = ""
"""The key of a row that somebody else wrote."""


class CaptionFile:
    """Captions in ``path`` and rejected images in ``NAME.rejections.jsonl`` beside it, one JSON object a line.

    Every row of ours carries the key of what was captioned (``key``): the captioner's settings and the image's bytes.
    Several processes may write them at a time: whoever changes a file holds a lock file beside it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rejections_path = path.with_suffix(".rejections.jsonl")
        self._files = {Caption: RowFile(path), ImageRejection: RowFile(self.rejections_path)}

    def mend(self) -> None:
        """Drop what a kill has torn."""
        with self._locked():
            for file in self._files.values():
                file.mend()

    def forget_rejections(self, captioner: str) -> None:
        """Leave out what this captioner rejected."""
        with self._locked():
            self._keep(self._files[ImageRejection], lambda row: _captioner(row) != captioner)

    def read(self, captioner: str, *, also_rejected: bool = True) -> dict[str, dict[str, Outcome]]:
        """What is known of each image by this captioner, by key. Raises `DataError` for a row that is none."""
        known: defaultdict[str, dict[str, Outcome]] = defaultdict(dict)
        for kind, file in self._files.items():
            if kind is ImageRejection and not also_rejected:
                continue
            for where, values in file.read():
                row = _fitting(values, where)
                if row.captioner == captioner and row.image_id is not None:
                    known[str(row.image_id)].setdefault(row.key, row.outcome(kind))
        return dict(known)

    def add(self, key: str, outcome: Outcome) -> None:
        """Append one outcome and wait until it is on the disk."""
        row = {"image_id": outcome.image_id, "captioner": outcome.captioner, "key": key}
        if isinstance(outcome, Caption):
            row |= {"text": outcome.text}
        else:
            row |= {"reason": outcome.reason, "answer": outcome.answer}
        with self._locked():
            self._files[type(outcome)].append([row])

    def drop_outdated(self, captioner: str, current: Mapping[str, str], *, unread: Collection[str] = ()) -> int:
        """Leave out this captioner's rows of images whose ``current`` key is another; returns how many.

        Of images that could not be read, ``unread``, there is no new caption: only old rejections are left out.
        """
        described = {image_id: key for image_id, key in current.items() if image_id not in unread}
        captions, rejections = self._files[Caption], self._files[ImageRejection]
        with self._locked():
            num_captions = self._keep(captions, lambda row: not _is_outdated(row, captioner, described))
            return num_captions + self._keep(rejections, lambda row: not _is_outdated(row, captioner, current))

    def _keep(self, file: RowFile, wanted: Callable[[dict[str, Any]], bool]) -> int:
        """Leave out all other rows; returns how many.

        Whose rows came first comes first again, new rows and all: a corpus reads the captions of the first by default.
        """
        rows = [row for _, row in file.read()]
        kept = [row for row in rows if wanted(row)]
        if len(kept) < len(rows):
            kept.sort(key=lambda row: _captioner(row) != _captioner(rows[0]))
            write_jsonl(file.path, kept)
        return len(rows) - len(kept)

    def _locked(self) -> AbstractContextManager[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return locked(self.path.with_name(f".{self.path.name}.lock"))


class _Row(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    image_id: str | int | None = None
    captioner: str = ""
    key: str = FOREIGN
    text: str | None = None
    reason: str = ""
    answer: str = ""

    def outcome(self, kind: type[Outcome]) -> Outcome:
        if kind is Caption:
            return Caption(str(self.image_id), self.text or "", self.captioner)
        return ImageRejection(str(self.image_id), self.reason, self.captioner, self.answer)


def _fitting(values: dict[str, Any], where: str) -> _Row:
    try:
        return _Row.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        what = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise DataError(f"not a row of captions ({what}); mend or remove the line", where=where) from error


def _is_outdated(row: dict[str, Any], captioner: str, current: Mapping[str, str]) -> bool:
    wanted = current.get(str(row.get("image_id", "")))
    return wanted is not None and _captioner(row) == captioner and row.get("key", FOREIGN) != wanted


def _captioner(row: dict[str, Any]) -> object:
    return row.get("captioner", "")
