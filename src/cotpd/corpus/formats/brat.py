"""The format of BRAT: a text, one post a line, and beside it an ``.ann`` file with its entities and relations.

``T1<tab>PER 0 5<tab>Obama`` is an entity at characters ``[0, 5)`` of the text, ``R1<tab>Spouse Arg1:T1 Arg2:T2`` a
relation. A span that is only an argument has the type ``_``.
"""

from __future__ import annotations

import re
import sys
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from cotpd.core.errors import DataError
from cotpd.core.files import read_lines, write_atomic
from cotpd.core.records import Entity, Example, Relation, Span
from cotpd.corpus.defects import Defect, quoted
from cotpd.corpus.formats.parsing.offsets import Mention, characters, place, spans_of, visible
from cotpd.corpus.formats.parsing.reading import Reading, Row, begun
from cotpd.corpus.formats.parsing.spans import flat

ANNOTATIONS = ".ann"
"""The ending of the file of annotations beside a text."""

_PLAIN = "_"
_ENTITY = re.compile(r"(T\d+)\t(\S+) (\d{1,15} \d{1,15}(?:;\d{1,15} \d{1,15})*)(?:\t(.*))?")
_RELATION = re.compile(r"(R\d+)\t(\S+) \S+?:([TE]\d+) \S+?:([TE]\d+)\s*")
_EVENT = re.compile(r"E\d+\t\S+?:(T\d+)(?: .*)?")
_OTHERS = {"#": "notes", "*": "equivalences", "E": "events", "A": "attributes", "M": "attributes", "N": "links"}


def read(path: Path, reading: Reading) -> Iterator[Row]:
    """Read the posts of a text in order, each called ``<file name>:<line>``; of a directory, those of all its texts.

    Offsets may count a byte order mark or the CR of CRLF, whichever fits the annotations. Discontinuous entities and
    what crosses lines are left out and reported; of entities that overlap the longest is kept. Events and the spans
    that trigger them, attributes, links and notes are not kept, and counted. Errors reported: a line that is no
    annotation, offsets at which the mention does not stand, a relation of unknown entities (all left out), a text
    without annotations.
    """
    for file in sorted(path.glob("*.txt")) if path.is_dir() else [path]:
        annotations = _annotations(file.with_suffix(ANNOTATIONS), reading)
        text = _text(file, annotations, reading)
        yield from _posts(file, text, annotations, reading)


def write(path: Path, examples: Iterable[Example]) -> Counter[str]:
    """Write a text and the annotations beside it; returns how many values the format cannot hold.

    Raises `DataError` for a word with a line break and a type with white space.
    """
    losses: Counter[str] = Counter()
    lines: list[str] = []
    annotations: list[str] = []
    counts, offset = Counter({"T": 0, "R": 0}), 0
    for number, given in enumerate(examples, 1):
        example = visible(given, losses)
        annotations += _to_annotations(example, offset, counts)
        lines.append(f"{_writable(example.text, example.id)}\n")
        offset += len(lines[-1])
        losses["images"] += example.image_id is not None
        losses["ids"] += example.id != f"{path.stem}:{number}"
    write_atomic(path, begun("".join(lines)))
    write_atomic(path.with_suffix(ANNOTATIONS), "".join(annotations))
    return +losses


@dataclass(frozen=True, slots=True)
class _Marked:
    """An entity by its offsets in the whole text."""

    label: str
    mention: Mention


class _Related(NamedTuple):
    """A relation by the ids of its arguments."""

    label: str
    head: str
    tail: str
    where: str


@dataclass(slots=True)
class _Annotations:
    """What an annotation file holds, by id; ``left_out`` are the entities that cannot be held.

    ``triggers`` are the spans that are no entities, but words that tell of an event.
    """

    entities: dict[str, _Marked] = field(default_factory=dict)
    relations: list[_Related] = field(default_factory=list)
    left_out: set[str] = field(default_factory=set)
    triggers: set[str] = field(default_factory=set)


def _annotations(path: Path, reading: Reading) -> _Annotations:
    found = _Annotations()
    not_kept: Counter[str] = Counter()
    for number, line in reading.lines(path):
        where = f"{path}:{number}"
        if match := _ENTITY.fullmatch(line):
            _add_entity(found, match, where, reading)
        elif (match := _RELATION.fullmatch(line)) and "E" in (match[3][0], match[4][0]):
            not_kept["relations of events"] += 1
        elif match:
            found.relations.append(_Related(match[2], match[3], match[4], where))
        elif line[:1] in _OTHERS and "\t" in line:
            found.triggers |= {match[1] for match in [_EVENT.fullmatch(line)] if match}
            not_kept[_OTHERS[line[0]]] += 1
        elif line.strip():
            expected = "T1<tab>TYPE START END<tab>TEXT or R1<tab>TYPE Arg1:T1 Arg2:T2 is expected"
            reading.fail("bad-annotation", where, f"{quoted(line)}; {expected}")
    triggers = found.triggers & found.entities.keys()
    found.entities = {name: mark for name, mark in found.entities.items() if name not in triggers}
    found.left_out |= triggers
    reading.not_kept(path, not_kept + Counter({"triggers of events": len(triggers)}))
    return found


def _add_entity(found: _Annotations, match: re.Match[str], where: str, reading: Reading) -> None:
    name, label, offsets, text = match.groups()
    if name in found.entities or name in found.left_out:
        reading.fail("repeated-id", where, f"{name} occurs before; annotations need ids of their own")
        return
    start, end = int(offsets.split()[0]), int(offsets.split()[-1])
    if ";" in offsets:
        reading.warn("discontinuous", where, f"{name} has several parts ({offsets}); it is left out")
        found.left_out.add(name)
    else:
        found.entities[name] = _Marked(label, Mention(start, end, where, text))


def _text(path: Path, annotations: _Annotations, reading: Reading) -> str:
    """The text as the annotations count it: without a byte order mark and with every CR, or with or without them."""
    lines = list(read_lines(path, on_defect=lambda error: reading.report(Defect.of(error, "encoding"))))
    if not lines:
        return ""
    plain = "\n".join(line for _, line in lines)
    raw = path.read_bytes().decode("utf-8", "replace")
    counted = f" {raw[1:]}" if raw.startswith("\ufeff") else raw
    variants = dict.fromkeys([raw.removeprefix("\ufeff"), plain, counted])
    return max(variants, key=lambda text: sum(_stands(mark.mention, text) for mark in annotations.entities.values()))


def _stands(mention: Mention, text: str) -> bool:
    return mention.text is not None and text[mention.start : mention.end].split() == mention.text.split()


def _posts(path: Path, text: str, annotations: _Annotations, reading: Reading) -> Iterator[Row]:
    lines = _lines(text)
    places = {name: _line_of(mark.mention, text, lines, reading) for name, mark in annotations.entities.items()}
    names_of: defaultdict[int | None, list[str]] = defaultdict(list)
    for name, line in places.items():
        names_of[line].append(name)
    related: defaultdict[int | None, list[_Related]] = defaultdict(list)
    for relation in annotations.relations:
        related[places.get(relation.head)].append(relation)
    for number, (start, end) in enumerate(lines):
        names = names_of[number]
        marks = [annotations.entities[name] for name in names]
        where = f"{path}:{number + 1}"
        words, spans = place(text[start:end], [_moved(mark.mention, start) for mark in marks], reading)
        if not words:
            continue
        reading.check_row_words(words, where)
        found = zip(spans, marks, strict=True)
        entities = flat((Entity(span, m.label) for span, m in found if span and m.label != _PLAIN), where, reading)
        by_name = {name: span for name, span in zip(names, spans, strict=True) if span}
        relations = tuple(_relations(related[number], by_name))
        yield Row(Example(f"{path.stem}:{number + 1}", words, entities, relations), where)
    _report_lost_relations(annotations, places, reading)


def _lines(text: str) -> list[tuple[int, int]]:
    """The characters ``[start, end)`` of each line, without its end."""
    ends = [match.start() for match in re.finditer("\n", text)]
    starts = [0, *(end + 1 for end in ends)]
    return [
        (start, end - text.endswith("\r", start, end)) for start, end in zip(starts, [*ends, len(text)], strict=True)
    ]


def _line_of(mention: Mention, text: str, lines: list[tuple[int, int]], reading: Reading) -> int | None:
    """The number of the line in which a mention begins; None, and a report, where it ends in another."""
    number = max(0, bisect_right(lines, (mention.start, sys.maxsize)) - 1)
    if mention.end <= lines[number][1] or number == len(lines) - 1:
        return number
    if mention.text is not None and not _stands(mention, text):
        there = quoted(text[mention.start : mention.end])
        reading.fail("mention-differs", mention.where, f"there stands {there}, not {quoted(mention.text)}")
        return None
    reading.warn("crosses-lines", mention.where, "an entity over several lines, each of which is a post; left out")
    return None


def _moved(mention: Mention, offset: int) -> Mention:
    return Mention(mention.start - offset, mention.end - offset, mention.where, mention.text)


def _relations(related: list[_Related], by_name: dict[str, Span]) -> Iterator[Relation]:
    for label, head, tail, _ in related:
        if head in by_name and tail in by_name:
            yield Relation(by_name[head], by_name[tail], label)


def _report_lost_relations(annotations: _Annotations, places: dict[str, int | None], reading: Reading) -> None:
    for label, head, tail, where in annotations.relations:
        unknown = [name for name in (head, tail) if name not in places and name not in annotations.left_out]
        if unknown:
            reading.fail("bad-span", where, f"{label} names {', '.join(unknown)}, which is no entity here")
        elif places.get(head) is None or places.get(tail) is None:
            reading.warn("lost-relation", where, f"{label} is left out with its argument")
        elif places[head] != places[tail]:
            reading.warn("crosses-lines", where, f"{label} relates two lines, each of which is a post; left out")


def _to_annotations(example: Example, offset: int, counts: Counter[str]) -> Iterator[str]:
    labels = {entity.span: entity.label for entity in example.entities}
    names: dict[Span, str] = {}
    for span in spans_of(example):
        counts["T"] += 1
        names[span] = f"T{counts['T']}"
        start, end = characters(example, span)
        label = _typed(labels.get(span, _PLAIN), example.id)
        yield f"{names[span]}\t{label} {offset + start} {offset + end}\t{example.words_of(span)}\n"
    for relation in example.relations:
        counts["R"] += 1
        label = _typed(relation.label, example.id)
        yield f"R{counts['R']}\t{label} Arg1:{names[relation.head]} Arg2:{names[relation.tail]}\n"


def _typed(label: str, where: str) -> str:
    if not label or re.search(r"\s", label):
        raise DataError(f"the type {quoted(label)} cannot be written in this format: white space", where=where)
    return label


def _writable(text: str, where: str) -> str:
    if set(text) & set("\n\r"):
        raise DataError(f"{quoted(text)} cannot be written in this format: a line break in a word", where=where)
    return text
