"""The formats of corpora, one file each; which one a file has is seen from its name and how it begins."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cotpd.core.errors import DataError, UsageError
from cotpd.core.files import read_lines
from cotpd.core.labels import TagScheme, detect_scheme, is_tag
from cotpd.core.records import Example
from cotpd.corpus.formats import (
    brat,
    conll2003,
    gliner,
    hf_datasets,
    jsonl,
    label_studio,
    mnre,
    spacy_docbin,
    tacred,
    twitter,
    wikidiverse,
)
from cotpd.corpus.formats.parsing.json_values import json_values
from cotpd.corpus.formats.parsing.reading import Reading, Row

SUFFIXES = (".txt", ".conll", ".bio", ".tsv", ".jsonl", ".json", ".spacy")
"""The endings that a corpus file may have."""


@dataclass(frozen=True, slots=True)
class Format:
    """How a format is read and written, and the ending of its files (none of a directory).

    ``write`` returns how many values of each kind the format cannot hold; ``tags`` gives those of each post.
    """

    read: Callable[[Path, Reading], Iterator[Row]]
    write: Callable[[Path, Iterable[Example]], Counter[str]]
    suffix: str
    tags: Callable[[Path, Reading], list[list[str]]] | None = None


FORMATS = {
    "brat": Format(brat.read, brat.write, ".txt"),
    "conll2003": Format(conll2003.read, conll2003.write, ".conll", conll2003.tags),
    "gliner": Format(gliner.read, gliner.write, ".json"),
    "hf_datasets": Format(hf_datasets.read, hf_datasets.write, ""),
    "jsonl": Format(jsonl.read, jsonl.write, ".jsonl"),
    "label_studio": Format(label_studio.read, label_studio.write, ".json"),
    "mnre": Format(mnre.read, mnre.write, ".txt"),
    "spacy_docbin": Format(spacy_docbin.read, spacy_docbin.write, ".spacy"),
    "tacred": Format(tacred.read, tacred.write, ".json"),
    "twitter": Format(twitter.read, twitter.write, ".txt", twitter.tags),
    "wikidiverse": Format(wikidiverse.read, wikidiverse.write, ".json"),
}
"""Every format by its name."""


def read_rows(path: Path, reading: Reading) -> Iterator[Row]:
    """The rows of a file in the format that ``reading`` names, else in the one it has.

    Raises `DataError` for a format that is not known.
    """
    return named_format(reading.format or recognise(path)).read(path, reading)


def named_format(name: str) -> Format:
    """The format of this name. Raises `UsageError` for an unknown one."""
    if name not in FORMATS:
        raise UsageError(f"there is no format {name!r}; choose among {', '.join(FORMATS)}")
    return FORMATS[name]


def recognise(path: Path) -> str:
    """The name of the format that a file has. Raises `DataError` for one that is not known."""
    if (path / hf_datasets.MARK).is_file():
        return "hf_datasets"
    if path.suffix == ".spacy":
        return "spacy_docbin"
    if path.is_dir() or path.with_suffix(brat.ANNOTATIONS).is_file():
        return "brat"
    if path.suffix in (".json", ".jsonl"):
        return _json_format(path)
    first = _first_line(path) if path.suffix in SUFFIXES else "<"
    if first.startswith("{"):
        return "mnre"
    if _has_columns(first) or (path.suffix == ".conll" and not first.startswith("IMGID:")):
        return "conll2003"
    if not first.startswith(("[", "<")):
        return "twitter"
    raise DataError(f"a format that is not known; name it: {', '.join(FORMATS)}", where=str(path))


def tag_scheme(path: Path) -> TagScheme | None:
    """The scheme that the tags of a file follow; None for a format without tags, and where nothing tells."""
    tags = FORMATS[recognise(path)].tags
    return detect_scheme(tags(path, Reading(lambda defect: None))) if tags else None


_KEYS = {"tokenized_text": "gliner", "subj_start": "tacred", "data": "label_studio"}
"""The key by which an object tells its format."""


def _json_format(path: Path) -> str:
    is_lines = path.suffix == ".jsonl"
    value = _first_line_value(path) if is_lines else _first_value(path)
    if isinstance(value, dict) and (names := [name for key, name in _KEYS.items() if key in value]):
        return names[0]
    if is_lines:
        return "jsonl"
    if isinstance(value, list) or value is None:
        return "wikidiverse"
    raise DataError(f"a format that is not known; name it: {', '.join(FORMATS)}", where=str(path))


def _first_line_value(path: Path) -> Any:
    try:
        return json.loads(_first_line(path))
    except (ValueError, RecursionError):
        return None


def _first_value(path: Path) -> Any:
    return next((value for _, value in json_values(path, Reading(lambda defect: None))), None)


def _has_columns(line: str) -> bool:
    """Whether a line is one of CoNLL-2003: a document's first, or three columns and more before the tag."""
    columns = re.split(r"[ \t]+", line.strip())
    is_word = len(columns) > 2 and is_tag(columns[-1]) and line.count("\t") != 1
    return columns[0] == "-DOCSTART-" or is_word


def _first_line(path: Path) -> str:
    lines = read_lines(path, on_defect=lambda error: None)
    return next((line for _, line in lines if line.strip()), "")
