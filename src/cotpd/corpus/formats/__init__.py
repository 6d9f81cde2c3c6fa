"""Corpus formats, one module each, and detection of the format of a file by its name and its first line."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
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
    tombert,
    twitter,
    wikidiverse,
)
from cotpd.corpus.formats.parsing.json_values import json_values
from cotpd.corpus.formats.parsing.reading import ParsedExample, Reading
from cotpd.corpus.formats.parsing.split_names import SPLIT_NAMES

_COLUMN_SUFFIXES = (".conll", ".conllu", ".bio2", ".bioes", ".iob", ".iob2", ".ner", ".annotated", ".data", ".dat")
_JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")
SUFFIXES = (".txt", ".tsv", ".bio", *_COLUMN_SUFFIXES, *_JSON_SUFFIXES, ".spacy")
"""The suffixes of corpus files, in lower case."""


@dataclass(frozen=True, slots=True)
class Format:
    """The functions of a format.

    Attributes:
        read: Yields the examples of a file.
        write: Writes a file and returns the number of values that are lost, by kind.
        suffix: The suffix of its files. Empty if the format is a directory.
        tags: Returns the tags of each post. None for a format without tags.
    """

    read: Callable[[Path, Reading], Iterator[ParsedExample]]
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
    "tombert": Format(tombert.read, tombert.write, ".txt"),
    "twitter": Format(twitter.read, twitter.write, ".txt", twitter.tags),
    "wikidiverse": Format(wikidiverse.read, wikidiverse.write, ".json"),
}
"""All formats by name."""


def read_examples(path: Path, reading: Reading) -> Iterator[ParsedExample]:
    """Read a file in the format that ``reading`` names, or else in the detected one.

    Raises:
        DataError: If the format is not recognised.
        UsageError: If ``reading`` names an unknown format.
    """
    return named_format(reading.format or recognise(path)).read(path, reading)


def named_format(name: str) -> Format:
    """Return the format of this name. Raises `UsageError` if there is none."""
    if name not in FORMATS:
        raise UsageError(f"unknown format {name!r}; choose one of {', '.join(FORMATS)}")
    return FORMATS[name]


def recognise(path: Path) -> str:
    """Detect the name of the format of a file. Raises `DataError` if it is not recognised."""
    if (path / hf_datasets.MARK).is_file():
        return "hf_datasets"
    suffix = path.suffix.lower()
    if suffix == ".spacy":
        return "spacy_docbin"
    if path.is_dir() or path.with_suffix(brat.ANNOTATIONS).is_file():
        return "brat"
    if suffix in _JSON_SUFFIXES:
        return _json_format(path)
    has_known_suffix = suffix in SUFFIXES or suffix.removeprefix(".") in SPLIT_NAMES
    return _text_format(path, _first_line(path) if has_known_suffix else "<")


def _text_format(path: Path, first: str) -> str:
    """Detect the format of a text file by its first line."""
    if first.startswith(_WEBANNO):
        raise DataError("the file is WebAnno TSV, which is not read; export it as CoNLL 2003 or BRAT", where=str(path))
    if first.startswith("{"):
        return "mnre"
    has_image = first[:6].upper() == "IMGID:"
    if not has_image and (_has_columns(first) or path.suffix.lower() not in (".txt", ".tsv", ".bio")):
        return "conll2003"
    if tombert.matches(first):
        return "tombert"
    if not first.startswith(("[", "<")):
        return "twitter"
    raise _unrecognised(path)


def tag_scheme(path: Path) -> TagScheme | None:
    """Detect the tag scheme of a file. None if its format has no tags or the tags do not indicate a scheme."""
    tags = FORMATS[recognise(path)].tags
    return detect_scheme(tags(path, Reading(lambda defect: None))) if tags else None


_WEBANNO = "#FORMAT=WebAnno"
_NUM_COMMENTS = 50
_KEYS = {"tokenized_text": "gliner", "subj_start": "tacred", "data": "label_studio"}
"""Keys that identify the format of a JSON object."""


_ROW_KEYS = {"text", "words", "tokens"}
"""Keys of the rows of our own format and of other tools, which may also stand in a JSON array."""


def _json_format(path: Path) -> str:
    is_lines = path.suffix.lower() != ".json"
    value = _first_line_value(path) if is_lines else _first_value(path)
    if isinstance(value, dict) and (names := [name for key, name in _KEYS.items() if key in value]):
        return names[0]
    if is_lines:
        return "jsonl"
    if isinstance(value, dict) and value.keys() & _ROW_KEYS:
        return "jsonl"
    if isinstance(value, list) and len(value) == 2 and isinstance(value[1], dict):
        return "jsonl"  # [text, {"entities": …}], as spaCy 2 was trained with
    if isinstance(value, list) or value is None:
        return "wikidiverse"
    raise _unrecognised(path)


def _first_line_value(path: Path) -> Any:
    try:
        return json.loads(_first_line(path))
    except (ValueError, RecursionError):
        return None


def _first_value(path: Path) -> Any:
    return next((value for _, value in json_values(path, Reading(lambda defect: None))), None)


def _has_columns(line: str) -> bool:
    """Return True for a line of CoNLL-2003: the start of a document, or columns that end with a tag.

    A word and a tag with a single tab between them are a line of Twitter-2015. A line whose first column is a number
    and that has more than three columns between tabs numbers its words, as in CoNLL-U.
    """
    columns = re.split(r"[ \t]+", line.strip())
    is_word = len(columns) > 1 and is_tag(columns[-1]) and line.count("\t") != 1
    is_numbered = line.count("\t") > 2 and columns[0].isdecimal()
    return columns[0] == "-DOCSTART-" or is_word or is_numbered


def _first_line(path: Path) -> str:
    """Return the first line that is not blank. Comments are skipped if another line follows soon."""
    lines = (line for _, line in read_lines(path, on_defect=lambda error: None) if line.strip())
    first = next(lines, "")
    if first.startswith(_WEBANNO) or not _is_comment(first):
        return first
    return next((line for line in islice(lines, _NUM_COMMENTS) if not _is_comment(line)), first)


def _is_comment(line: str) -> bool:
    return line.startswith("#") and not is_tag(re.split(r"[ \t]", line.rstrip())[-1])


def _unrecognised(path: Path) -> DataError:
    names = ", ".join(FORMATS)
    return DataError(
        f"unknown format; convert the file to one of {names}, or name its format with `cotpd convert --from`",
        where=str(path),
    )
