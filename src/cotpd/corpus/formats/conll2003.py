"""CoNLL-2003 format: one word per line in columns, the tag in the last one. A blank line ends a sentence."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cotpd.core.files import write_atomic
from cotpd.core.labels import OUTSIDE, is_tag
from cotpd.core.records import Example
from cotpd.corpus.defects import quote
from cotpd.corpus.formats.parsing.reading import ParsedExample, Reading
from cotpd.corpus.formats.parsing.tags import count_lost_orphans, lenient_tags, resolve_scheme
from cotpd.corpus.formats.parsing.writing import count_losses, protect_first_character, unwritable

_DOCUMENT = "-DOCSTART-"
_UNKNOWN = "_"
"""The value that is written in the columns of part of speech and chunk."""
_SPACES, _TABS = re.compile(" +"), re.compile("\t+")


def read(path: Path, reading: Reading) -> Iterator[ParsedExample]:
    """Read the sentences of a file in order, with ids ``<file name>:<line>``.

    Columns are separated by tabs, or by spaces in a line without a tab. ``reading.columns`` names the columns of word
    and tag. Tags that look like IOB1 are read as IOB1 and reported. These are errors: a line without these columns (its
    word is kept with the tag O), an invalid tag, and a word column that only numbers the words. Document lines and
    comments are skipped; comments are reported.
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

    words: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)


def _sentences(path: Path, reading: Reading) -> Iterator[_ConllSentence]:
    sentence, usual = _ConllSentence(), 0
    for number, line in reading.lines(path):
        where = f"{path}:{number}"
        columns = _columns(line.strip(" \t"))
        if columns == [""] or _begins_document(columns):
            if sentence.words:
                yield sentence
            sentence = _ConllSentence()
        elif _is_comment(columns, reading) and (not sentence.words or len(columns) != usual):
            reading.warn("comment", where, f"skipped {quote(line)}")
        else:
            usual = usual or len(columns)
            if len(columns) not in (1, usual):
                message = f"expected {usual} columns as in the first line, got {len(columns)}: {quote(line)}"
                reading.warn("columns-differ", where, message)
            _add_word(sentence, columns, where, reading)
    if sentence.words:
        yield sentence


def _columns(line: str) -> list[str]:
    """Split a line into columns. Between tabs, a word may contain spaces."""
    return [column.strip(" ") for column in _TABS.split(line)] if "\t" in line else _SPACES.split(line)


def _check_numbers(sentences: list[_ConllSentence], reading: Reading) -> None:
    """Report a first column that only numbers the words of each sentence, as in GermEval."""
    numbered = [sentence for sentence in sentences if sentence.words == _numbers(len(sentence.words))]
    if reading.columns[0] == 0 and len(numbered) == len(sentences) and any(len(each.words) > 2 for each in sentences):
        message = "the first column only numbers the words; name the columns of word and tag, for example --columns 1,2"
        reading.fail("numbered-words", sentences[0].places[0], message)


def _numbers(length: int) -> list[str]:
    return [str(number) for number in range(1, length + 1)]


def _begins_document(columns: list[str]) -> bool:
    """Return True for a line that starts a document. As a word, ``-DOCSTART-`` is followed by ``_`` in our files."""
    return columns[0].partition(" ")[0] == _DOCUMENT and _UNKNOWN not in columns[1:2]


def _is_comment(columns: list[str], reading: Reading) -> bool:
    """Return True for a line that starts with ``#`` and has no tag. Within a sentence it may be a word all the same."""
    return columns[0].startswith("#") and not is_tag(_column(columns, reading.columns[1]) or "")


def _add_word(sentence: _ConllSentence, columns: list[str], where: str, reading: Reading) -> None:
    word, tag = (_column(columns, number) for number in reading.columns)
    if word is None or tag is None or len(columns) < 2:
        wanted = " and ".join(str(number) for number in reading.columns)
        message = f"expected a word and a tag in columns {wanted}, got the line {quote(' '.join(columns))}"
        reading.fail("missing-column", where, message)
        word, tag = word or columns[0], OUTSIDE
    else:
        tag = reading.check_tag(tag, where, allow_spaces=False)
    sentence.words.append(word)
    sentence.tags.append(tag)
    sentence.places.append(where)


def _column(columns: list[str], number: int) -> str | None:
    return columns[number] if -len(columns) <= number < len(columns) else None


def _block(example: Example, tags: list[str]) -> str:
    for word in (*example.words, *tags):
        if not word or set(word) & set(" \t\n\r"):
            raise unwritable(word, example.id, because="is empty or contains white space", what="word or tag")
    return "".join(f"{word} {_UNKNOWN} {_UNKNOWN} {tag}\n" for word, tag in zip(example.words, tags, strict=True))
