"""The format of CoNLL-2003: a word a line with its columns, the tag the last; a blank line ends a sentence."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cotpd.core.errors import DataError
from cotpd.core.files import write_atomic
from cotpd.core.labels import OUTSIDE, is_tag
from cotpd.core.records import Example
from cotpd.corpus.defects import quoted
from cotpd.corpus.formats.parsing.reading import Reading, Row, begun
from cotpd.corpus.formats.parsing.tags import count_lost_orphans, lenient_tags, told_scheme

_DOCUMENT = "-DOCSTART-"
_UNKNOWN = "_"
"""What is written in the columns of part of speech and chunk."""
_SPACES, _TABS = re.compile(" +"), re.compile("\t+")


def read(path: Path, reading: Reading) -> Iterator[Row]:
    """Read the sentences of a file in order, each called ``<file name>:<line>``.

    Columns stand between tabs, in a line without any between spaces; ``reading.columns`` are those of the word and the
    tag. Tags that look like IOB1 are read as such, and reported. Errors reported: a line without these columns (its
    word is kept, its tag O), a tag that is none, words that only count. Lines that begin documents or comments are left
    out; comments are reported.
    """
    sentences = list(_sentences(path, reading))
    _check_numbers(sentences, reading)
    scheme = told_scheme((sentence.tags for sentence in sentences), path, reading)
    for sentence in sentences:
        reading.check_words(sentence.words, sentence.places)
        reading.check_spaces(sentence.words, sentence.places)
        name = f"{path.stem}:{sentence.places[0].rpartition(':')[2]}"
        entities = reading.entities(sentence.tags, sentence.places, scheme)
        yield Row(Example(name, tuple(sentence.words), entities), sentence.places[0])


def tags(path: Path, reading: Reading) -> list[list[str]]:
    """The tags of each sentence."""
    return [sentence.tags for sentence in _sentences(path, reading)]


def write(path: Path, examples: Iterable[Example]) -> Counter[str]:
    """Write a file of four columns, BIO, orphans as the ``I-`` they were; returns how many values it cannot hold.

    Raises `DataError` for a word that is empty or holds a space, a tab or a line break, and for overlapping entities.
    """
    losses: Counter[str] = Counter()
    posts, blocks, line = list(examples), [], 1
    for example in posts:
        blocks.append(_block(example, lenient_tags(example)))
        losses["relations"] += len(example.relations)
        losses["images"] += example.image_id is not None
        losses["ids"] += example.id != f"{path.stem}:{line}"
        line += len(example.words) + 1
    losses["orphans"] += count_lost_orphans(posts)
    write_atomic(path, begun("\n".join(blocks)))
    return +losses


@dataclass(slots=True)
class _Sentence:
    words: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)


def _sentences(path: Path, reading: Reading) -> Iterator[_Sentence]:
    sentence, usual = _Sentence(), 0
    for number, line in reading.lines(path):
        where = f"{path}:{number}"
        columns = _columns(line.strip(" \t"))
        if columns == [""] or _begins_document(columns):
            if sentence.words:
                yield sentence
            sentence = _Sentence()
        elif _is_comment(columns, reading) and (not sentence.words or len(columns) != usual):
            reading.warn("comment", where, f"left out: {quoted(line)}")
        else:
            usual = usual or len(columns)
            if len(columns) not in (1, usual):
                message = f"{len(columns)} columns, where the first line has {usual}: {quoted(line)}; is it one word?"
                reading.warn("columns-differ", where, message)
            _add_word(sentence, columns, where, reading)
    if sentence.words:
        yield sentence


def _columns(line: str) -> list[str]:
    """The columns of a line; between tabs, a word may hold spaces."""
    return [column.strip(" ") for column in _TABS.split(line)] if "\t" in line else _SPACES.split(line)


def _check_numbers(sentences: list[_Sentence], reading: Reading) -> None:
    """Report a first column that counts the words of each sentence, as in GermEval: nobody posts only numbers."""
    numbered = [sentence for sentence in sentences if sentence.words == _counting(len(sentence.words))]
    if reading.columns[0] == 0 and len(numbered) == len(sentences) and any(len(each.words) > 2 for each in sentences):
        message = "the first column only counts words; name those of word and tag, as by --columns 1,2"
        reading.fail("numbered-words", sentences[0].places[0], message)


def _counting(length: int) -> list[str]:
    return [str(number) for number in range(1, length + 1)]


def _begins_document(columns: list[str]) -> bool:
    """Whether a line begins a document; one that is a word has ``_`` behind it, as we write it."""
    return columns[0].partition(" ")[0] == _DOCUMENT and _UNKNOWN not in columns[1:2]


def _is_comment(columns: list[str], reading: Reading) -> bool:
    """A line that begins with ``#`` and has no tag in its column; inside a sentence it may be a word with a bad one."""
    return columns[0].startswith("#") and not is_tag(_column(columns, reading.columns[1]) or "")


def _add_word(sentence: _Sentence, columns: list[str], where: str, reading: Reading) -> None:
    word, tag = (_column(columns, number) for number in reading.columns)
    if word is None or tag is None or len(columns) < 2:
        message = f"{len(columns)} columns in {quoted(' '.join(columns))}; a word and a tag are expected"
        reading.fail("missing-column", where, message)
        word, tag = word or columns[0], OUTSIDE
    elif not is_tag(tag) or " " in tag:
        reading.fail("unknown-tag", where, f"{quoted(tag)} is no tag; O or a B-, I-, E-, S-, L- or U- is expected")
        tag = OUTSIDE
    sentence.words.append(word)
    sentence.tags.append(tag)
    sentence.places.append(where)


def _column(columns: list[str], number: int) -> str | None:
    return columns[number] if -len(columns) <= number < len(columns) else None


def _block(example: Example, tags: list[str]) -> str:
    for word in (*example.words, *tags):
        if not word or set(word) & set(" \t\n\r"):
            message = f"{quoted(word)} cannot be written in this format: empty, or with white space in it"
            raise DataError(message, where=example.id)
    return "".join(f"{word} {_UNKNOWN} {_UNKNOWN} {tag}\n" for word, tag in zip(example.words, tags, strict=True))
