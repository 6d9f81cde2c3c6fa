"""CoNLL-2003 format: one word per line in columns, the tag in the last one. A blank line ends a sentence."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from cotpd.core.files import read_lines, write_atomic
from cotpd.core.labels import OUTSIDE, is_tag
from cotpd.core.records import Example
from cotpd.corpus.defects import quote
from cotpd.corpus.formats.parsing.columns import ColumnLayout
from cotpd.corpus.formats.parsing.places import LinePlaces
from cotpd.corpus.formats.parsing.reading import ParsedExample, Reading
from cotpd.corpus.formats.parsing.tags import count_lost_orphans, lenient_tags, resolve_scheme
from cotpd.corpus.formats.parsing.writing import count_losses, protect_first_character, unwritable

_DOCUMENT = "-DOCSTART-"
_UNKNOWN = "_"
"""The value that is written in the columns of part of speech and chunk."""
_NUMBER = re.compile(r"(\d+)(?:[-.]\d+)?")


def read(path: Path, reading: Reading) -> Iterator[ParsedExample]:
    """Read the sentences of a file in order, with ids ``<file name>:<line>``.

    Columns are separated by tabs, or by spaces in a line without a tab. ``reading.columns`` names the columns of word
    and tag. Surplus columns between spaces belong to the word. Tags that look like IOB1 are read as IOB1 and reported.
    These are errors: an empty word, a line with fewer columns than the others, surplus columns between tabs, an invalid
    tag, and a word column that only numbers the words. Document lines and comments are skipped; comments are reported.
    """
    sentences = list(_sentences(path, reading))
    _check_numbers(sentences, reading)
    scheme = resolve_scheme((sentence.tags for sentence in sentences), path, reading)
    for sentence in sentences:
        reading.check_words(sentence.words, sentence.places)
        reading.check_spaces(sentence.words, sentence.places)
        name = f"{path.stem}:{sentence.places[0].rpartition(':')[2]}"
        entities = reading.decode_entities(sentence.tags, sentence.places, scheme)
        yield ParsedExample(Example(name, tuple(sentence.words), entities), sentence.places[0])


def tags(path: Path, reading: Reading) -> list[list[str]]:
    """Return the tags of each sentence."""
    return [sentence.tags for sentence in _sentences(path, reading)]


def write(path: Path, examples: Iterable[Example]) -> Counter[str]:
    """Write four columns with BIO tags, orphans with their ``I-``. Return the number of values that are lost, by kind.

    Raises:
        DataError: If a word or tag is empty or contains white space, or if entities overlap.
    """
    losses: Counter[str] = Counter()
    posts, blocks, line = list(examples), [], 1
    for example in posts:
        blocks.append(_block(example, lenient_tags(example)))
        count_losses(losses, example, "relations", "images", id_read=f"{path.stem}:{line}")
        line += len(example.words) + 1
    losses["orphans"] += count_lost_orphans(posts)
    write_atomic(path, protect_first_character("\n".join(blocks)))
    return +losses


@dataclass(slots=True)
class _ConllSentence:
    """The words of a sentence with their tags and places."""

    places: LinePlaces
    words: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)


def _sentences(path: Path, reading: Reading) -> Iterator[_ConllSentence]:
    layout = ColumnLayout.of(line for _, line in read_lines(path, on_defect=lambda error: None))
    sentence = _ConllSentence(LinePlaces(path))
    for number, line in reading.lines(path):
        where = f"{path}:{number}"
        columns = layout.split(line) if line.strip(" \t") else []
        if not columns or _begins_document(columns):
            if sentence.words:
                yield sentence
            sentence = _ConllSentence(LinePlaces(path))
        elif _is_comment(columns, reading) and (not sentence.words or len(columns) != layout.width):
            reading.warn("comment", where, f"skipped {quote(line)}")
        else:
            _add_line(sentence, line, _Place(where, layout), reading)
    if sentence.words:
        yield sentence


class _Place(NamedTuple):
    where: str
    layout: ColumnLayout


def _add_line(sentence: _ConllSentence, line: str, place: _Place, reading: Reading) -> None:
    """Add the word of a line. A line with other columns than the file is an error, unless its word contains spaces."""
    layout, where = place.layout, place.where
    columns, (word, _) = layout.split(line), reading.word_and_tag
    if len(columns) > layout.width and "\t" not in line and is_tag(columns[-1]):
        columns = layout.join_word(columns, word)
    elif len(columns) not in (1, layout.width):
        message = f"expected {layout.width} columns as in most lines, got {len(columns)}: {quote(line)}"
        reading.fail("columns-differ", where, f"{message}; add what is missing or remove what is surplus")
    _add_word(sentence, columns, where, reading)


def _check_numbers(sentences: list[_ConllSentence], reading: Reading) -> None:
    """Report a first column that only numbers the words of each sentence, as in GermEval."""
    is_first = reading.word_and_tag[0] == 0
    if is_first and any(len(each.words) > 2 for each in sentences) and all(map(_only_numbers, sentences)):
        message = "the first column only numbers the words; convert the file with --columns WORD,TAG (such as 1,2)"
        reading.fail("numbered-words", sentences[0].places[0], message)


def _only_numbers(sentence: _ConllSentence) -> bool:
    """Return True if the words count up from 0 or 1. ``3-4`` and ``5.1`` are lines between the words of CoNLL-U."""
    matches = [_NUMBER.fullmatch(word) for word in sentence.words if word]
    numbers = [int(match[1]) for match in matches if match and match[0] == match[1]]
    return None not in matches and numbers in (
        list(range(1, len(numbers) + 1)),
        list(range(len(numbers))),
    )


def _begins_document(columns: list[str]) -> bool:
    """Return True for a line that starts a document. As a word, ``-DOCSTART-`` is followed by ``_`` in our files."""
    return columns[0].partition(" ")[0] == _DOCUMENT and _UNKNOWN not in columns[1:2]


def _is_comment(columns: list[str], reading: Reading) -> bool:
    """Return True for a line that starts with ``#`` and has no tag. Within a sentence it may be a word all the same."""
    return columns[0].startswith("#") and not is_tag(_column(columns, reading.word_and_tag[1]) or "")


def _add_word(sentence: _ConllSentence, columns: list[str], where: str, reading: Reading) -> None:
    word, tag = (_column(columns, number) for number in reading.word_and_tag)
    if word is None or tag is None or len(columns) < 2:
        reading.fail("missing-column", where, _describe_missing(columns, reading))
        word, tag = word or columns[0], OUTSIDE
    else:
        tag = _checked_tag(tag, columns, where, reading)
    if not word:
        reading.fail("empty-word", where, "the word is empty; fill it in or remove the line")
    sentence.words.append(sys.intern(word))
    sentence.tags.append(sys.intern(tag))
    sentence.places.append(where)


def _describe_missing(columns: list[str], reading: Reading) -> str:
    if columns[0].upper().startswith("IMGID:"):
        return f"the line {quote(columns[0])} names an image; set the format with `cotpd convert --from twitter`"
    wanted = " and ".join(str(number) for number in reading.word_and_tag)
    return f"expected a word and a tag in columns {wanted}, got the line {quote(' '.join(columns))}"


def _checked_tag(tag: str, columns: list[str], where: str, reading: Reading) -> str:
    others = [] if is_tag(tag) else [number for number, column in enumerate(columns) if number and is_tag(column)]
    hint = f"if column {others[0]} holds the tags, convert the file with --columns WORD,{others[0]}" if others else ""
    return reading.check_tag(tag, where, allow_spaces=False, hint=hint)


def _column(columns: list[str], number: int) -> str | None:
    return columns[number] if -len(columns) <= number < len(columns) else None


def _block(example: Example, tags: list[str]) -> str:
    for word in (*example.words, *tags):
        if not word or set(word) & set(" \t\n\r"):
            raise unwritable(word, example.id, because="is empty or contains white space", what="word or tag")
    return "".join(f"{word} {_UNKNOWN} {_UNKNOWN} {tag}\n" for word, tag in zip(example.words, tags, strict=True))
