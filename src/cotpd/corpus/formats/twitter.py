"""The format of Twitter-2015, Twitter-2017 and SNAP.

A post is a line ``IMGID:<id>`` and one ``word<tab>tag`` a line; a blank line ends it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from cotpd.core.errors import DataError
from cotpd.core.files import write_atomic
from cotpd.core.labels import OUTSIDE, is_tag
from cotpd.core.records import Example
from cotpd.corpus.defects import quoted
from cotpd.corpus.formats.parsing.reading import Reading, Row, begun, distinct_ids
from cotpd.corpus.formats.parsing.tags import count_lost_orphans, lenient_tags, told_scheme

_IMAGE = "IMGID:"


def read(path: Path, reading: Reading) -> Iterator[Row]:
    """Read the posts of a file in order.

    A post's id is its image id (``x#2`` when it occurs again), or ``<file name>:<line>`` where it has none. Errors
    reported: a line without tab, with two, an empty word, a tag that is none. Posts without words are left out and
    reported. IOB1 is read where ``reading`` tells it, never detected: an ``I-`` that begins an entity is an orphan.
    """
    return distinct_ids(_rows(path, reading), reading)


def write(path: Path, examples: Iterable[Example]) -> Counter[str]:
    """Write a file that reads back the same, orphans included; returns how many values the format cannot hold.

    Raises `DataError` for a word or image id that is empty or holds a tab or a line break, for a type with one or with
    a space at its end, and for entities that overlap.
    """
    losses: Counter[str] = Counter()
    posts, blocks = list(examples), []
    for example in posts:
        blocks.append(_block(example))
        losses["relations"] += len(example.relations)
    losses["ids"] = sum(example.id != name for example, name in zip(posts, _names(posts, blocks, path), strict=True))
    losses["orphans"] += count_lost_orphans(posts, detects_iob1=False)
    write_atomic(path, begun("\n".join(blocks)))
    return +losses


def tags(path: Path, reading: Reading) -> list[list[str]]:
    """The tags of each post."""
    return [block.tags for block in _blocks(path, reading) if block.words]


@dataclass(slots=True)
class _Block:
    """The lines of one post: its image and its words with their tags and places."""

    where: str
    image_id: str | None = None
    words: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)


def _rows(path: Path, reading: Reading) -> Iterator[Row]:
    blocks = list(_blocks(path, reading))
    scheme = told_scheme((block.tags for block in blocks), path, reading, detects_iob1=False)
    for block in blocks:
        if not block.words:
            reading.warn("empty-post", block.where, "a post without words; it is left out")
            continue
        reading.check_words(block.words, block.places)
        reading.check_spaces(block.words, block.places)
        name = block.image_id or f"{path.stem}:{block.where.rpartition(':')[2]}"
        entities = reading.entities(block.tags, block.places, scheme)
        yield Row(Example(name, tuple(block.words), entities, image_id=block.image_id), block.where)


def _blocks(path: Path, reading: Reading) -> Iterator[_Block]:
    block: _Block | None = None
    for number, line in reading.lines(path):
        where = f"{path}:{number}"
        begins = line.startswith(_IMAGE) and "\t" not in line
        if begins and block is not None:
            reading.warn("missing-blank-line", where, "a new post begins without a blank line before it")
        if block is not None and (begins or not line.strip(" \t")):
            yield block
            block = None
        if begins:
            block = _Block(where, line.removeprefix(_IMAGE).strip() or None)
        elif line.strip(" \t"):
            block = block or _headless(where, reading)
            _add_word(block, line, where, reading)
    if block is not None:
        yield block


def _headless(where: str, reading: Reading) -> _Block:
    reading.warn("missing-image-id", where, f"a post without an {_IMAGE} line; it has no image")
    return _Block(where)


def _add_word(block: _Block, line: str, where: str, reading: Reading) -> None:
    word, tab, tag = line.rpartition("\t")
    tag = tag.strip(" ")
    if not tab:
        word, tag = _untabbed(line, where, reading)
    elif "\t" in word:
        reading.fail("tab-in-word", where, f"two tabs in {quoted(line)}; one word, one tab, one tag are expected")
        word = word.replace("\t", " ")
    if not word:
        reading.fail("empty-word", where, "the word before the tab is empty; remove the line or give the word")
    block.words.append(word)
    block.tags.append(_checked(tag, where, reading))
    block.places.append(where)


def _untabbed(line: str, where: str, reading: Reading) -> tuple[str, str]:
    word, space, tag = line.rpartition(" ")
    if space and is_tag(tag):
        reading.fail("spaces-for-tab", where, f"a space, not a tab, stands between word and tag in {quoted(line)}")
        return word.rstrip(" "), tag
    reading.fail("missing-tag", where, f"no tag behind the word {quoted(line)}; write word, tab, tag (O for no entity)")
    return line, OUTSIDE


def _checked(tag: str, where: str, reading: Reading) -> str:
    if is_tag(tag):
        return tag
    expected = "O or a B-, I-, E-, S-, L- or U- with a type is expected"
    reading.fail("unknown-tag", where, f"{quoted(tag)} is no tag; {expected}")
    return OUTSIDE


def _block(example: Example) -> str:
    lines = [] if example.image_id is None else [f"{_IMAGE}{_writable(example.image_id.strip(), example.id)}"]
    for word, tag in zip(example.words, lenient_tags(example), strict=True):
        lines.append(f"{_writable(word, example.id)}\t{_writable_tag(tag, example.id)}")
    return "".join(f"{line}\n" for line in lines)


def _names(posts: Iterable[Example], blocks: Iterable[str], path: Path) -> Iterator[str]:
    """What `read` will call the posts."""
    rows, line = [], 1
    for post, block in zip(posts, blocks, strict=True):
        name = (post.image_id or "").strip() or f"{path.stem}:{line}"
        rows.append(Row(replace(post, id=name), f"{path}:{line}"))
        line += block.count("\n") + 1
    return (row.example.id for row in distinct_ids(rows, Reading(lambda defect: None)))


def _writable_tag(tag: str, where: str) -> str:
    if tag.endswith(" "):
        raise DataError(f"the type {quoted(tag[2:])} cannot be written in this format: a space at its end", where=where)
    return _writable(tag, where)


def _writable(text: str, where: str) -> str:
    if not text or set(text) & set("\t\n\r"):
        raise DataError(
            f"{quoted(text)} cannot be written in this format: empty, or with a tab or a line break", where=where
        )
    return text
