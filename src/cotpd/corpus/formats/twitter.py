"""Format of Twitter-2015, Twitter-2017 and SNAP.

A post starts with a line ``IMGID:<id>``, continues with one line ``word<tab>tag`` per word, and ends at a blank line.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from cotpd.core.files import write_atomic
from cotpd.core.labels import OUTSIDE, is_tag
from cotpd.core.records import Example
from cotpd.corpus.defects import quote
from cotpd.corpus.formats.parsing.places import LinePlaces
from cotpd.corpus.formats.parsing.reading import ParsedExample, Reading, make_ids_unique
from cotpd.corpus.formats.parsing.tags import count_lost_orphans, lenient_tags, resolve_scheme
from cotpd.corpus.formats.parsing.writing import count_losses, protect_first_character, unwritable

_IMAGE = "IMGID:"


def read(path: Path, reading: Reading) -> Iterator[ParsedExample]:
    """Read the posts of a file in order.

    The id of a post is its image id (``x#2`` at its second occurrence), or ``<file name>:<line>`` without an image.
    These are errors: a line without a tab, or with two unless ``reading.columns`` names the columns of word and tag, an
    empty word, and an invalid tag. Posts without words are skipped and reported. IOB1 must be named in ``reading`` and
    is never detected: an ``I-`` tag that starts an entity is an orphan here.
    """
    return make_ids_unique(_rows(path, reading), reading)


def write(path: Path, examples: Iterable[Example]) -> Counter[str]:
    """Write a file that reads back the same, including orphans. Return the number of values that are lost, by kind.

    Raises:
        DataError: If a word, tag or image id is empty or contains a tab or a line break, if a type ends with a space,
            or if entities overlap.
    """
    losses: Counter[str] = Counter()
    posts, blocks = list(examples), []
    for example in posts:
        blocks.append(_block(example))
        count_losses(losses, example, "relations")
    losses["ids"] = sum(example.id != name for example, name in zip(posts, _ids_read(posts, blocks, path), strict=True))
    losses["orphans"] += count_lost_orphans(posts, detects_iob1=False)
    write_atomic(path, protect_first_character("\n".join(blocks)))
    return +losses


def tags(path: Path, reading: Reading) -> list[list[str]]:
    """Return the tags of each post."""
    return [block.tags for block in _blocks(path, reading) if block.words]


@dataclass(slots=True)
class _TwitterBlock:
    """The lines of one post: its image, and its words with their tags and places."""

    where: str
    places: LinePlaces
    image_id: str | None = None
    words: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)


def _rows(path: Path, reading: Reading) -> Iterator[ParsedExample]:
    blocks = list(_blocks(path, reading))
    scheme = resolve_scheme((block.tags for block in blocks), path, reading, detects_iob1=False)
    for block in blocks:
        if not reading.check_not_empty(block.words, block.where):
            continue
        reading.check_words(block.words, block.places)
        reading.check_spaces(block.words, block.places)
        name = block.image_id or f"{path.stem}:{block.where.rpartition(':')[2]}"
        entities = reading.decode_entities(block.tags, block.places, scheme)
        yield ParsedExample(Example(name, tuple(block.words), entities, image_id=block.image_id), block.where)


def _blocks(path: Path, reading: Reading) -> Iterator[_TwitterBlock]:
    block: _TwitterBlock | None = None
    for number, line in reading.lines(path):
        where = f"{path}:{number}"
        begins = line[: len(_IMAGE)].upper() == _IMAGE and "\t" not in line
        if begins and block is not None:
            reading.warn("missing-blank-line", where, "a new post starts without a blank line before it")
        if block is not None and (begins or not line.strip(" \t")):
            yield block
            block = None
        if begins:
            block = _TwitterBlock(where, LinePlaces(path), line[len(_IMAGE) :].strip() or None)
        elif line.strip(" \t"):
            block = block or _start_without_image(path, where, reading)
            _add_word(block, line, where, reading)
    if block is not None:
        yield block


def _start_without_image(path: Path, where: str, reading: Reading) -> _TwitterBlock:
    reading.warn("missing-image-id", where, f"the post has no {_IMAGE} line and thus no image")
    return _TwitterBlock(where, LinePlaces(path))


def _add_word(block: _TwitterBlock, line: str, where: str, reading: Reading) -> None:
    word, tab, tag = line.rpartition("\t")
    tag = tag.strip(" ")
    if not tab:
        word, tag = _split_without_tab(line, where, reading)
    elif reading.columns:
        word, tag = _named_columns(line, reading.columns, where, reading)
    elif "\t" in word:
        message = f"expected one word, one tab and one tag, got {line.count(tab)} tabs: {quote(line)}"
        advice = "name the columns of word and tag, as in `cotpd convert --from twitter --columns 0,2`"
        reading.fail("tab-in-word", where, f"{message}; {advice}")
        word = word.replace("\t", " ")
    if not word:
        reading.fail("empty-word", where, "the word before the tab is empty; remove the line or fill in the word")
    block.words.append(sys.intern(word))
    block.tags.append(sys.intern(reading.check_tag(tag, where)))
    block.places.append(where)


def _named_columns(line: str, columns: tuple[int, int], where: str, reading: Reading) -> tuple[str, str]:
    cells = [cell.strip(" ") for cell in line.split("\t")]
    if any(not -len(cells) <= number < len(cells) for number in columns):
        wanted = " and ".join(map(str, columns))
        message = f"expected a word and a tag in columns {wanted} (counted from 0), got {len(cells)}: {quote(line)}"
        reading.fail("missing-column", where, message)
        return cells[0], OUTSIDE
    return cells[columns[0]], cells[columns[1]]


def _split_without_tab(line: str, where: str, reading: Reading) -> tuple[str, str]:
    word, space, tag = line.rpartition(" ")
    if space and is_tag(tag):
        reading.fail("spaces-for-tab", where, f"a space separates word and tag in {quote(line)}; write a tab")
        return word.rstrip(" "), tag
    reading.fail(
        "missing-tag", where, f"the line {quote(line)} has no tag; write word, tab, tag (O outside of entities)"
    )
    return line, OUTSIDE


def _block(example: Example) -> str:
    lines = []
    if example.image_id is not None:
        lines.append(_IMAGE + _check_writable(example.image_id.strip(), example.id, what="image id"))
    for word, tag in zip(example.words, lenient_tags(example), strict=True):
        if tag.endswith(" "):
            raise unwritable(tag[2:], example.id, because="ends with a space", what="entity type")
        written = _check_writable(word, example.id), _check_writable(tag, example.id, what="tag")
        lines.append("\t".join(written))
    return "".join(f"{line}\n" for line in lines)


def _ids_read(posts: Iterable[Example], blocks: Iterable[str], path: Path) -> Iterator[str]:
    """Yield the ids that `read` will give to the posts."""
    rows, line = [], 1
    for post, block in zip(posts, blocks, strict=True):
        name = (post.image_id or "").strip() or f"{path.stem}:{line}"
        rows.append(ParsedExample(replace(post, id=name), f"{path}:{line}"))
        line += block.count("\n") + 1
    return (row.example.id for row in make_ids_unique(rows, Reading(lambda defect: None)))


def _check_writable(text: str, example_id: str, *, what: str = "word") -> str:
    if not text or set(text) & set("\t\n\r"):
        raise unwritable(text, example_id, because="is empty or contains a tab or a line break", what=what)
    return text
