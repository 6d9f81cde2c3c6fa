"""Exports from the request store to sidecar files: new rows replace older ones about the same, all others stay."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import compress, takewhile
from pathlib import Path
from typing import Any

from cotpd.core.errors import DataError, UsageError
from cotpd.core.files import json_line, read_jsonl, write_atomic
from cotpd.core.guards.locks import locked
from cotpd.core.records import Example, Knowledge, Rejection
from cotpd.core.sidecars.example_row import to_row
from cotpd.core.sidecars.rows import (
    CaptionRow,
    ImageRejectionRow,
    KnowledgeRow,
    RejectionRow,
    SidecarRow,
    Subject,
    VariantRejectionRow,
)

JsonObject = Mapping[str, Any]


def rejections_path(path: Path) -> Path:
    """Return the file of rejections beside captions or variants: captions.rejections.jsonl."""
    return path.with_suffix(".rejections.jsonl")


def knowledge_rejections_path(path: Path) -> Path:
    """Return rejections.jsonl beside a file of knowledge; the files of all wordings share it."""
    return path.with_name("rejections.jsonl")


def export_captions(
    path: Path,
    captions: Sequence[CaptionRow],
    rejections: Sequence[ImageRejectionRow],
    *,
    unreadable: Collection[str] = (),
) -> None:
    """Write captions and rejected images.

    An image in ``unreadable`` keeps the caption that the file has: the folder may be wrong or not mounted.
    """
    rows: tuple[SidecarRow, ...] = (*captions, *rejections)
    subjects = {row.subject_of(row.to_dict()) for row in rows}
    described = {subject for subject in subjects if subject[0] not in unreadable}
    _export(path, captions, _own_rows(CaptionRow, described))
    _export(rejections_path(path), rejections, _own_rows(ImageRejectionRow, subjects))


def export_knowledge(path: Path, answers: Mapping[str, Knowledge | Rejection]) -> None:
    """Write answers by the keys of their questions.

    An answer also replaces a row of the other file: knowledge removes a rejection of the same template, and a
    rejection removes knowledge.
    """
    kept = [KnowledgeRow.of(each, key=key) for key, each in answers.items() if isinstance(each, Knowledge)]
    rejected = [RejectionRow.of(each, key=key) for key, each in answers.items() if isinstance(each, Rejection)]
    rows = [row.to_dict() for row in (*kept, *rejected)]
    _export(path, kept, _own_rows(KnowledgeRow, {KnowledgeRow.subject_of(row) for row in rows}))
    subjects = {RejectionRow.subject_of(row) for row in rows}
    _export(knowledge_rejections_path(path), rejected, _own_rows(RejectionRow, subjects))


def export_variants(path: Path, variants: Sequence[Example], rejections: Sequence[VariantRejectionRow]) -> None:
    """Write variants and rejected variants; they replace older ones with the same parent and kind, of any model."""
    rows = [to_row(variant) for variant in variants]
    subjects = {variant_subject(row) for row in rows} | {row.subject_of(row.to_dict()) for row in rejections}
    _write(path, rows, lambda row: variant_subject(row) in subjects)
    _export(rejections_path(path), rejections, lambda row: VariantRejectionRow.subject_of(row) in subjects)


def require_own_file(path: Path, kind: type[SidecarRow]) -> None:
    """Raise `UsageError` if a file exists that holds anything but rows of a kind, such as a file of a corpus."""
    try:
        foreign = next((where for where, row in read_jsonl(path) if not kind.is_own(row)), "") if path.is_file() else ""
    except DataError as error:
        foreign = error.where
    if foreign:
        what = kind.__name__.removesuffix("Row").lower()
        raise UsageError(f"{foreign}: not a {what}; writing here would damage it, so choose another file with --out")


def variant_subject(row: JsonObject) -> Subject | None:
    """Return the parent and kind of a row of augmented.jsonl; None for a row that is not a variant."""
    match row.get("origin"):
        case {"parent": str(parent), "kind": str(kind)}:
            return parent, kind
    return None


def has_only_variants(path: Path) -> bool:
    """Return True if every row of a file is a variant; also if there is no file.

    Raises:
        DataError: If a line is not a JSON object.
    """
    return not path.exists() or all(variant_subject(row) for _, row in read_jsonl(path))


def _own_rows(kind: type[SidecarRow], subjects: Collection[Subject]) -> Callable[[JsonObject], bool]:
    """Return a filter for rows with a key whose subject is in ``subjects``."""
    return lambda row: bool(kind.key_of(row)) and kind.subject_of(row) in subjects


def _export(path: Path, rows: Iterable[SidecarRow], is_replaced: Callable[[JsonObject], bool]) -> None:
    _write(path, [row.to_dict() for row in rows], is_replaced)


def _write(path: Path, rows: Sequence[JsonObject], is_replaced: Callable[[JsonObject], bool]) -> None:
    """Put rows where the first replaced row was, or at the end.

    So the captioner or model whose rows come first in a file stays the first. The file is replaced atomically, and not
    touched if nothing changes.
    """
    if not rows and not path.exists():
        return
    with _lock(path):
        old = [row for _, row in read_jsonl(path)] if path.exists() else []
        stays = [not is_replaced(row) for row in old]
        kept, place = list(compress(old, stays)), sum(takewhile(bool, stays))
        lines = [json_line(dict(row)) for row in (*kept[:place], *rows, *kept[place:])]
        content = "".join(lines).encode()
        if content != (path.read_bytes() if path.exists() else b""):
            write_atomic(path, content)


def _lock(path: Path) -> AbstractContextManager[None]:
    """Lock the file against other processes that export to it from another store."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return locked(path.with_name(f".{path.name}.lock"))
