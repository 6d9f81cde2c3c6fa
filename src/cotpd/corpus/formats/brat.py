"""BRAT format: a text with one post per line, and an ``.ann`` file of the same name with entities and relations.

``T1<tab>PER 0 5<tab>Obama`` is an entity at characters ``[0, 5)`` of the text, and ``R1<tab>Spouse Arg1:T1 Arg2:T2`` is
a relation. A span that is only an argument has the type ``_``.
"""

from __future__ import annotations

import re
import sys
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from cotpd.core.files import write_atomic
from cotpd.core.records import Entity, Example, Relation, Span
from cotpd.corpus.defects import quote
from cotpd.corpus.formats.parsing.offsets import (
    TextMention,
    character_offsets,
    collect_spans,
    fit_to_running_text,
    locate_mentions,
)
from cotpd.corpus.formats.parsing.reading import ParsedExample, Reading
from cotpd.corpus.formats.parsing.spans import resolve_overlaps
from cotpd.corpus.formats.parsing.split_names import named_split
from cotpd.corpus.formats.parsing.writing import count_losses, protect_first_character, unwritable

ANNOTATIONS = ".ann"
"""The suffix of annotation files."""

_UNTYPED = "_"
"""The type of a span that is only an argument of relations."""
_ENTITY = re.compile(r"(T\d+)\t(\S+) (\d{1,15} \d{1,15}(?:;\d{1,15} \d{1,15})*)(?:\t(.*))?")
_RELATION = re.compile(r"(R\d+)\t(\S+) \S+?:([TE]\d+) \S+?:([TE]\d+)\s*")
_EVENT = re.compile(r"E\d+\t\S+?:(T\d+)(?: .*)?")
_IGNORED = {"#": "notes", "*": "equivalences", "E": "events", "A": "attributes", "M": "attributes", "N": "links"}


def read(path: Path, reading: Reading) -> Iterator[ParsedExample]:
    """Read the posts of a text, or of all texts of a directory, with ids ``<file name>:<line>``.

    Offsets may or may not count a byte order mark and the CR of CRLF; the variant that fits the annotations is used.
    Entities of several parts with more than white space between them, and entities and relations across lines, are
    skipped and reported. Of overlapping entities the longest is kept. Events with their trigger spans, attributes,
    links and notes are ignored and counted. These are errors: an invalid annotation, offsets that do not fit the
    mention, a relation of unknown entities (all skipped), and a text or an annotation file without the other. If the
    name of every text of a directory contains a split, its posts belong to that split.
    """
    texts = sorted(path.glob("*.txt")) if path.is_dir() else [path]
    splits = [named_split(file.name) for file in texts] if path.is_dir() else [None]
    for file, split in zip(texts, splits if all(splits) else [None] * len(texts), strict=True):
        annotations = _annotations(file.with_suffix(ANNOTATIONS), reading)
        text = _text(file, annotations, reading)
        _settle_parts(annotations, text, reading)
        yield from (replace(row, split=split) for row in _posts(file, text, annotations, reading))
    _report_missing_texts(path, texts, reading)


def write(path: Path, examples: Iterable[Example]) -> Counter[str]:
    """Write a text and its annotation file. Return the number of values that are lost, by kind.

    Raises:
        DataError: If a word contains a line break or a type contains white space.
    """
    losses: Counter[str] = Counter()
    lines: list[str] = []
    annotations: list[str] = []
    counts, offset = Counter({"T": 0, "R": 0}), 0
    for number, original in enumerate(examples, 1):
        example = fit_to_running_text(original, losses)
        annotations += _to_annotations(example, offset, counts)
        lines.append(f"{_check_text(example.text, example.id)}\n")
        offset += len(lines[-1])
        count_losses(losses, example, "images", id_read=f"{path.stem}:{number}")
    write_atomic(path, protect_first_character("".join(lines)))
    write_atomic(path.with_suffix(ANNOTATIONS), "".join(annotations))
    return +losses


@dataclass(frozen=True, slots=True)
class _BratEntity:
    """An entity with offsets in the whole text.

    Attributes:
        label: Its type.
        mention: Its characters, from the start of the first part to the end of the last one.
        parts: Its offsets as they stand in the file, such as ``11 18;19 24``.
    """

    label: str
    mention: TextMention
    parts: str


class _BratRelation(NamedTuple):
    """A relation between two annotations, named by their ids."""

    label: str
    head: str
    tail: str
    where: str


@dataclass(slots=True)
class _BratAnnotations:
    """The content of an annotation file.

    Attributes:
        entities: The entities by id.
        relations: The relations.
        skipped: The ids of entities that an example cannot hold.
        triggers: The ids of spans that trigger an event and are not entities.
    """

    entities: dict[str, _BratEntity] = field(default_factory=dict)
    relations: list[_BratRelation] = field(default_factory=list)
    skipped: set[str] = field(default_factory=set)
    triggers: set[str] = field(default_factory=set)


def _annotations(path: Path, reading: Reading) -> _BratAnnotations:
    annotations = _BratAnnotations()
    ignored: Counter[str] = Counter()
    for number, line in reading.lines(path):
        where = f"{path}:{number}"
        if match := _ENTITY.fullmatch(line):
            _add_entity(annotations, match, where, reading)
        elif (match := _RELATION.fullmatch(line)) and "E" in (match[3][0], match[4][0]):
            ignored["relations of events"] += 1
        elif match:
            annotations.relations.append(_BratRelation(match[2], match[3], match[4], where))
        elif line[:1] in _IGNORED and "\t" in line:
            annotations.triggers |= {match[1] for match in [_EVENT.fullmatch(line)] if match}
            ignored[_IGNORED[line[0]]] += 1
        elif line.strip():
            expected = "expected T1<tab>TYPE START END<tab>TEXT or R1<tab>TYPE Arg1:T1 Arg2:T2"
            reading.fail("bad-annotation", where, f"{expected}, got {quote(line)}")
    triggers = annotations.triggers & annotations.entities.keys()
    annotations.entities = {name: entity for name, entity in annotations.entities.items() if name not in triggers}
    annotations.skipped |= triggers
    reading.report_ignored(path, ignored + Counter({"triggers of events": len(triggers)}))
    return annotations


def _add_entity(annotations: _BratAnnotations, match: re.Match[str], where: str, reading: Reading) -> None:
    name, label, offsets, text = match.groups()
    if name in annotations.entities or name in annotations.skipped:
        reading.fail("repeated-id", where, f"the id {name} occurs earlier; give each annotation its own id")
        return
    start, end = int(offsets.split()[0]), int(offsets.split()[-1])
    annotations.entities[name] = _BratEntity(label, TextMention(start, end, where, text), offsets)


def _settle_parts(annotations: _BratAnnotations, text: str, reading: Reading) -> None:
    """Skip the entities of several parts, unless only white space is between them, as where a line wraps."""
    for name, entity in list(annotations.entities.items()):
        borders = [int(number) for number in re.findall(r"\d+", entity.parts)]
        if any(
            text[end:start].strip() or start < end for end, start in zip(borders[1:-1:2], borders[2::2], strict=True)
        ):
            where = entity.mention.where
            reading.warn("discontinuous", where, f"skipped {name}, which has several parts ({entity.parts})")
            annotations.skipped.add(name)
            del annotations.entities[name]


def _report_missing_texts(path: Path, texts: list[Path], reading: Reading) -> None:
    """Report annotation files of a directory whose text is missing."""
    for file in sorted(path.glob(f"*{ANNOTATIONS}")) if path.is_dir() else ():
        if file.with_suffix(".txt") not in texts:
            reading.fail(
                "missing-text", f"{file}:1", f"the text {file.stem}.txt is missing; add it or remove this file"
            )


def _text(path: Path, annotations: _BratAnnotations, reading: Reading) -> str:
    """Return the variant of the text, with or without a byte order mark and CRs, that fits the annotations best."""
    lines = list(reading.lines(path, allow_cr=True))
    if not lines:
        return ""
    plain = "\n".join(line for _, line in lines)
    raw = path.read_bytes().decode("utf-8", "replace")
    with_mark = f" {raw[1:]}" if raw.startswith("\ufeff") else raw
    variants = dict.fromkeys([raw.removeprefix("\ufeff"), plain, with_mark])
    entities = annotations.entities.values()
    return max(variants, key=lambda text: sum(_fits(entity.mention, text) for entity in entities))


def _fits(mention: TextMention, text: str) -> bool:
    return mention.text is not None and text[mention.start : mention.end].split() == mention.text.split()


def _posts(path: Path, text: str, annotations: _BratAnnotations, reading: Reading) -> Iterator[ParsedExample]:
    lines = _lines(text)
    places = {name: _line_of(entity.mention, text, lines, reading) for name, entity in annotations.entities.items()}
    names_of: defaultdict[int | None, list[str]] = defaultdict(list)
    for name, line in places.items():
        names_of[line].append(name)
    related: defaultdict[int | None, list[_BratRelation]] = defaultdict(list)
    for relation in annotations.relations:
        related[places.get(relation.head)].append(relation)
    for number, (start, end) in enumerate(lines):
        names = names_of[number]
        marked = [annotations.entities[name] for name in names]
        where = f"{path}:{number + 1}"
        words, spans = locate_mentions(text[start:end], [_shift(entity.mention, start) for entity in marked], reading)
        if not words:
            continue
        reading.check_row_words(words, where)
        labelled = [(span, entity.label) for span, entity in zip(spans, marked, strict=True) if span]
        typed = (Entity(span, label) for span, label in labelled if label != _UNTYPED)
        entities = resolve_overlaps(typed, where, reading)
        by_name = {name: span for name, span in zip(names, spans, strict=True) if span}
        relations = tuple(_relations(related[number], by_name))
        yield ParsedExample(Example(f"{path.stem}:{number + 1}", words, entities, relations), where)
    _report_lost_relations(annotations, places, reading)


def _lines(text: str) -> list[tuple[int, int]]:
    """Return the characters ``[start, end)`` of each line, without its line end."""
    ends = [match.start() for match in re.finditer("\n", text)]
    starts = [0, *(end + 1 for end in ends)]
    return [
        (start, end - text.endswith("\r", start, end)) for start, end in zip(starts, [*ends, len(text)], strict=True)
    ]


def _line_of(mention: TextMention, text: str, lines: list[tuple[int, int]], reading: Reading) -> int | None:
    """Return the index of the line that contains a mention. A mention across lines is reported and gives None."""
    number = max(0, bisect_right(lines, (mention.start, sys.maxsize)) - 1)
    if mention.end <= lines[number][1] or number == len(lines) - 1:
        return number
    if mention.text is not None and not _fits(mention, text):
        message = f"characters [{mention.start}, {mention.end}) are {quote(text[mention.start : mention.end])}, "
        message += f"but the annotation says {quote(mention.text)}; correct one of them"
        reading.fail("mention-differs", mention.where, message)
        return None
    reading.warn("crosses-lines", mention.where, "skipped an entity across several lines, since each line is a post")
    return None


def _shift(mention: TextMention, offset: int) -> TextMention:
    return TextMention(mention.start - offset, mention.end - offset, mention.where, mention.text)


def _relations(related: list[_BratRelation], by_name: dict[str, Span]) -> Iterator[Relation]:
    for label, head, tail, _ in related:
        if head in by_name and tail in by_name:
            yield Relation(by_name[head], by_name[tail], label)


def _report_lost_relations(annotations: _BratAnnotations, places: dict[str, int | None], reading: Reading) -> None:
    for label, head, tail, where in annotations.relations:
        unknown = [name for name in (head, tail) if name not in places and name not in annotations.skipped]
        if unknown:
            reading.fail(
                "bad-span",
                where,
                f"the relation {label} refers to {', '.join(unknown)}, which is not an entity of this file; correct it",
            )
        elif places.get(head) is None or places.get(tail) is None:
            reading.warn("lost-relation", where, f"skipped the relation {label}, since an argument of it was skipped")
        elif places[head] != places[tail]:
            reading.warn(
                "crosses-lines", where, f"skipped the relation {label} between two lines, since each line is a post"
            )


def _to_annotations(example: Example, offset: int, counts: Counter[str]) -> Iterator[str]:
    labels = {entity.span: entity.label for entity in example.entities}
    names: dict[Span, str] = {}
    for span in collect_spans(example):
        counts["T"] += 1
        names[span] = f"T{counts['T']}"
        start, end = character_offsets(example, span)
        label = _check_type(labels.get(span, _UNTYPED), example.id)
        yield f"{names[span]}\t{label} {offset + start} {offset + end}\t{example.words_of(span)}\n"
    for relation in example.relations:
        counts["R"] += 1
        label = _check_type(relation.label, example.id)
        yield f"R{counts['R']}\t{label} Arg1:{names[relation.head]} Arg2:{names[relation.tail]}\n"


def _check_type(label: str, where: str) -> str:
    if not label or re.search(r"\s", label):
        raise unwritable(label, where, because="is empty or contains white space", what="type")
    return label


def _check_text(text: str, where: str) -> str:
    if set(text) & set("\n\r"):
        raise unwritable(text, where, because="contains a line break", what="text")
    return text
