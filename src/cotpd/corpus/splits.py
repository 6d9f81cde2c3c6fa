"""Which files of a directory hold which split: told by their names."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from cotpd.core.errors import DataError
from cotpd.corpus.formats import SUFFIXES
from cotpd.corpus.formats.brat import ANNOTATIONS
from cotpd.corpus.formats.hf_datasets import MARK
from cotpd.corpus.formats.mnre import LABELS

SPLITS = ("train", "dev", "test")
UNSPLIT = "unsplit"
"""Where posts go whose split nothing tells."""

CAPTIONS, KNOWLEDGE, AUGMENTED = "captions.jsonl", "knowledge.jsonl", "augmented.jsonl"
_NOT_POSTS = re.compile(
    rf"augmented\b|captions\b|knowledge\b|rejections\b|{re.escape(LABELS)}$|(?i:readme|license|licence)\b"
)
_NAMES = {"train": "train", "dev": "dev", "valid": "dev", "val": "dev", "validation": "dev", "test": "test"}


def named_split(name: str | None) -> str | None:
    """The split that a name tells: ``mnre_val .txt`` and ``valid`` are dev; None where it tells none or several."""
    found = {_NAMES[part] for part in re.split(r"[^a-z]+", (name or "").lower()) if part in _NAMES}
    return found.pop() if len(found) == 1 else None


def split_files(path: Path) -> dict[str, Path]:
    """The files of a corpus by split: of a directory those that name one, or its only file.

    A directory of annotated documents (BRAT) that do not all name a split is one whole. Raises `DataError` for a path
    that is missing, a directory without corpus files, or two files of one split.
    """
    if path.is_file() or (path / MARK).is_file():
        return {named_split(path.name) or UNSPLIT: path}
    if not path.is_dir():
        raise DataError("no such file or directory; check the path", where=str(path))
    if not all(named_split(file.name) for file in path.glob(f"*{ANNOTATIONS}")):
        return {UNSPLIT: path}
    candidates = _candidates(path)
    found = {split: _only(files, split) for split in SPLITS if (files := _naming(split, candidates))}
    if found:
        return found
    if len(candidates) == 1:
        return {UNSPLIT: candidates[0]}
    raise DataError(f"no train, dev or test file ({', '.join(SUFFIXES)}) in this directory", where=str(path))


def ignored_files(path: Path, used: Collection[Path]) -> list[Path]:
    """The files of a directory that look like posts, and are not among those ``used``."""
    return [] if path in used or path.is_file() else [file for file in _candidates(path) if file not in used]


def companion(path: Path, name: str) -> Path:
    """Where the captions or the knowledge of a corpus lie: in its directory, or beside its file."""
    return (path if path.is_dir() else path.parent) / name


def _candidates(path: Path) -> list[Path]:
    return sorted(file for file in path.iterdir() if _may_be_corpus(file))


def _may_be_corpus(file: Path) -> bool:
    if file.is_dir():
        return (file / MARK).is_file() or any(file.glob(f"*{ANNOTATIONS}"))
    return file.is_file() and file.suffix in SUFFIXES and not _NOT_POSTS.match(file.name)


def _naming(split: str, candidates: list[Path]) -> list[Path]:
    """The files that name a split: those that are called by it alone, else all."""
    files = [file for file in candidates if named_split(file.name) == split]
    return [file for file in files if file.stem.strip().lower() in _NAMES] or files


def _only(files: list[Path], split: str) -> Path:
    if len(files) > 1:
        names = " and ".join(file.name for file in files)
        raise DataError(f"{names} are both {split}; keep one or name the file", where=str(files[0].parent))
    return files[0]
