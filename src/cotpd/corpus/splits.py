"""Detection of the files of a corpus and their splits by file name."""

from __future__ import annotations

import re
from collections.abc import Collection
from importlib.resources import files
from pathlib import Path

from cotpd.core.errors import DataError
from cotpd.corpus.formats import SUFFIXES
from cotpd.corpus.formats.brat import ANNOTATIONS
from cotpd.corpus.formats.hf_datasets import MARK
from cotpd.corpus.formats.mnre import LABELS

SAMPLE = "sample"
"""The name of the embedded sample corpus, wherever a path to a corpus is expected."""

SPLITS = ("train", "dev", "test")
UNSPLIT = "unsplit"
"""The split of posts for which neither the file name nor the row names one."""

CAPTIONS, KNOWLEDGE, AUGMENTED = "captions.jsonl", "knowledge.jsonl", "augmented.jsonl"
_OTHER_FILES = re.compile(
    rf"augmented\b|captions\b|knowledge\b|rejections\b|{re.escape(LABELS)}$|(?i:readme|license|licence)\b"
)
_NAMES = {"train": "train", "dev": "dev", "valid": "dev", "val": "dev", "validation": "dev", "test": "test"}


def located(path: Path) -> Path:
    """Return the directory of the embedded corpus for its name, and any other path as it is."""
    return sample_path() if is_sample(path) else path


def is_sample(path: Path) -> bool:
    """Return True for the name `SAMPLE`, unless the working directory has a file or directory of this name."""
    return str(path) == SAMPLE and not path.exists()


def sample_path() -> Path:
    """Return the directory of the embedded sample corpus."""
    return Path(str(files("cotpd") / "sample"))


def named_split(name: str | None) -> str | None:
    """Return the split in a name (``mnre_val .txt`` and ``valid`` are dev), or None if it names none or several."""
    splits = {_NAMES[part] for part in re.split(r"[^a-z]+", (name or "").lower()) if part in _NAMES}
    return splits.pop() if len(splits) == 1 else None


def split_files(path: Path) -> dict[str, Path]:
    """Return the files of a corpus by split: those of a directory whose names contain a split, or its only file.

    The name `SAMPLE` stands for the embedded corpus. A directory of BRAT documents that do not all name a split is read
    as one unsplit corpus.

    Raises:
        DataError: If the path does not exist, contains no corpus files, or has two files of one split.
    """
    path = located(path)
    if path.is_file() or (path / MARK).is_file():
        return {named_split(path.name) or UNSPLIT: path}
    if not path.is_dir():
        raise DataError("no such file or directory; check the path", where=str(path))
    if not all(named_split(file.name) for file in path.glob(f"*{ANNOTATIONS}")):
        return {UNSPLIT: path}
    candidates = _candidates(path)
    files_by_split = {split: _single_file(found, split) for split in SPLITS if (found := _naming(split, candidates))}
    if files_by_split:
        return files_by_split
    if len(candidates) == 1:
        return {UNSPLIT: candidates[0]}
    raise DataError(
        f"no train, dev or test file ({', '.join(SUFFIXES)}) in this directory; rename the files or give one of them",
        where=str(path),
    )


def ignored_files(path: Path, used: Collection[Path]) -> list[Path]:
    """Return the files of a directory that look like corpus files but are not in ``used``."""
    path = located(path)
    return [] if path in used or path.is_file() else [file for file in _candidates(path) if file not in used]


def sidecar_path(path: Path, name: str) -> Path:
    """Return the path of a sidecar file: in the directory of a corpus, or next to its file."""
    path = located(path)
    return (path if path.is_dir() else path.parent) / name


def output_path(path: Path, name: str) -> Path:
    """Return the path of a new sidecar file: as `sidecar_path`, but in the working directory for the sample corpus."""
    beside = sidecar_path(path, name)
    return Path(name) if beside.resolve().parent == sample_path().resolve() else beside


def _candidates(path: Path) -> list[Path]:
    return sorted(file for file in path.iterdir() if _may_be_corpus(file))


def _may_be_corpus(file: Path) -> bool:
    if file.is_dir():
        return (file / MARK).is_file() or any(file.glob(f"*{ANNOTATIONS}"))
    return file.is_file() and file.suffix in SUFFIXES and not _OTHER_FILES.match(file.name)


def _naming(split: str, candidates: list[Path]) -> list[Path]:
    """Return the files whose name contains a split, preferring those whose whole stem is its name."""
    found = [file for file in candidates if named_split(file.name) == split]
    return [file for file in found if file.stem.strip().lower() in _NAMES] or found


def _single_file(found: list[Path], split: str) -> Path:
    if len(found) > 1:
        names = " and ".join(file.name for file in found)
        raise DataError(
            f"{names} are both {split} files; remove one or give the path of a single file", where=str(found[0].parent)
        )
    return found[0]
