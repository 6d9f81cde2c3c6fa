"""Detection of the files of a corpus and their splits by file name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from importlib.resources import files
from pathlib import Path

from cotpd.core.errors import DataError
from cotpd.core.files import real_path
from cotpd.corpus.formats import SUFFIXES
from cotpd.corpus.formats.brat import ANNOTATIONS
from cotpd.corpus.formats.hf_datasets import MARK
from cotpd.corpus.formats.mnre import LABELS
from cotpd.corpus.formats.parsing.split_names import SPLIT_NAMES, named_split

SAMPLE = "sample"
"""The name of the embedded sample corpus, wherever a path to a corpus is expected."""

SPLITS = ("train", "dev", "test")
UNSPLIT = "unsplit"
"""The split of posts for which neither the file name nor the row names one."""

CAPTIONS, KNOWLEDGE, AUGMENTED = "captions.jsonl", "knowledge.jsonl", "augmented.jsonl"
_OTHER_FILES = re.compile(
    rf"augmented\b|captions\b|knowledge\b|rejections\b|{re.escape(LABELS)}$|(?i:readme|license|licence)\b"
)


def located(path: Path) -> Path:
    """Return the directory of the embedded corpus for its name, and any other path as it is."""
    return sample_path() if is_sample(path) else path


def is_sample(path: Path) -> bool:
    """Return True for the name `SAMPLE`, unless the working directory has a file or directory of this name."""
    return str(path) == SAMPLE and not path.exists()


def sample_path() -> Path:
    """Return the directory of the embedded sample corpus."""
    return Path(str(files("cotpd") / "sample"))


def split_files(path: Path) -> dict[str, Path]:
    """Return the files of a corpus by split: those of a directory whose names contain a split, or its only file.

    The name `SAMPLE` stands for the embedded corpus. A directory of BRAT documents is read as a whole, unless it has
    exactly one document for each split. Each document belongs to the split that its name contains, or to none if some
    names contain none.

    Raises:
        DataError: If the path does not exist, contains no corpus files, or has two files of one split.
    """
    path = located(path)
    if path.is_file() or (path / MARK).is_file():
        return {named_split(path.name) or UNSPLIT: path}
    if not path.is_dir():
        raise DataError("no such file or directory; check the path", where=str(path))
    documents = Counter(named_split(file.name) for file in path.glob(f"*{ANNOTATIONS}"))
    if None in documents or any(number > 1 for number in documents.values()):
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
    """Return the files of a directory that are not in ``used`` although they look like corpus files or name a split."""
    path = located(path)
    if path in used or path.is_file():
        return []
    ignored = {file for file in path.iterdir() if _names_split(file) and not _belongs_to_brat(file)}
    return sorted((ignored | set(_candidates(path))) - set(used))


def describe_ignored(file: Path) -> str:
    """Explain why a file of `ignored_files` is not read, and what to do."""
    if file.is_dir():
        return "ignored the directory because it contains no corpus of its own; give its path to read it"
    if not _has_corpus_suffix(file):
        known = ", ".join(SUFFIXES)
        return f"ignored although its name contains a split, because of its suffix; rename it to one of {known}"
    return "ignored because its name contains no split, or because another file has the same split"


def sidecar_path(path: Path, name: str) -> Path:
    """Return the path of a sidecar file: in the directory of a corpus, or next to its file."""
    path = located(path)
    return (path if path.is_dir() else path.parent) / name


def output_path(path: Path, name: str) -> Path:
    """Return the path of a new sidecar file: as `sidecar_path`, but in the working directory for the sample corpus."""
    beside = sidecar_path(path, name)
    return Path(name) if real_path(beside).parent == real_path(sample_path()) else beside


def _candidates(path: Path) -> list[Path]:
    return sorted(file for file in path.iterdir() if _may_be_corpus(file))


def _may_be_corpus(file: Path) -> bool:
    if file.is_dir():
        return (file / MARK).is_file() or any(file.glob(f"*{ANNOTATIONS}"))
    return file.is_file() and _has_corpus_suffix(file) and not _is_other_file(file)


def _has_corpus_suffix(file: Path) -> bool:
    """Return True for a suffix of corpus files in any case, or one that is a split, as in ``eng.testa``."""
    suffix = file.suffix.lower()
    return suffix in SUFFIXES or suffix.removeprefix(".") in SPLIT_NAMES


def _is_other_file(file: Path) -> bool:
    return file.name.startswith(".") or bool(_OTHER_FILES.match(file.name))


def _names_split(file: Path) -> bool:
    """Return True for a file whose name contains a split, and for a directory that is named like one."""
    if _is_other_file(file):
        return False
    return file.name.strip().lower() in SPLIT_NAMES if file.is_dir() else named_split(file.name) is not None


def _belongs_to_brat(file: Path) -> bool:
    return file.suffix == ANNOTATIONS and file.with_suffix(".txt").is_file()


def _naming(split: str, candidates: list[Path]) -> list[Path]:
    """Return the files whose name contains a split, preferring those whose whole stem is its name."""
    found = [file for file in candidates if named_split(file.name) == split]
    return [file for file in found if file.stem.strip().lower() in SPLIT_NAMES] or found


def _single_file(found: list[Path], split: str) -> Path:
    if len(found) > 1:
        names = " and ".join(file.name for file in found)
        raise DataError(
            f"{names} are both {split} files; remove one or give the path of a single file", where=str(found[0].parent)
        )
    return found[0]
