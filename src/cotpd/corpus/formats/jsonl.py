"""Our own format: JSON lines ``{id, words | text, entities, relations, image, split}``, written by `to_row`.

Offsets count words, the end exclusive; with ``text`` in place of ``words`` they count its characters (code points).
The head and the tail of a relation are ``[start, end]``, ``{"start", "end"}`` or the index of an entity.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from cotpd.core.example_row import to_row
from cotpd.core.files import write_jsonl
from cotpd.core.records import Caption, Entity, Example, Origin, Relation, Span, VariantKind
from cotpd.corpus.defects import quoted
from cotpd.corpus.formats.parsing.offsets import split, words_touched
from cotpd.corpus.formats.parsing.reading import Id, Reading, Row, distinct_ids

_AMBIGUOUS = "`text` and `words`: do offsets count characters or words? Leave one out, or give each entity its `text`"


def read(path: Path, reading: Reading) -> Iterator[Row]:
    """Read the posts of a file in order.

    A post without id is called ``<file name>:<line>``; where both are given, ``words`` count and ``text`` does not.
    Such a row is an error where it has offsets and not every entity names its ``text``, which tells what they count.
    Errors reported: a line that is no such object (left out), an empty word, a span outside its post or that overlaps
    another entity, one that is not the ``text`` that it names, a blank label (the entity or relation is left out).
    Offsets that cut a word are widened to it and reported.
    """
    return distinct_ids(_rows(path, reading), reading)


def write(path: Path, examples: Iterable[Example], *, split: str | None = None) -> Counter[str]:
    """Write a file that reads back the same, without knowledge and scores, which live beside it.

    Returns how many values the format cannot hold: none.
    """
    write_jsonl(path, (to_row(example, split) for example in examples))
    return Counter()


class _Offsets(BaseModel):
    model_config = ConfigDict(strict=True)

    start: int
    end: int


class _Entity(_Offsets):
    label: str
    orphan: bool = False
    text: str | None = None


class _Relation(BaseModel):
    model_config = ConfigDict(strict=True)

    head: int | list[int] | _Offsets
    tail: int | list[int] | _Offsets
    label: str


class _Caption(BaseModel):
    model_config = ConfigDict(strict=True)

    text: str
    captioner: str = ""


class _Origin(BaseModel):
    model_config = ConfigDict(strict=True)

    parent: str
    kind: VariantKind = Field(strict=False)
    template: str = ""
    model: str = ""


class _Line(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")

    id: Id | None = None
    words: list[str] | None = None
    text: str | None = None
    entities: list[_Entity] = []
    relations: list[_Relation] = []
    image: Id | None = None
    split: str | None = None
    caption: _Caption | None = None
    origin: _Origin | None = None

    @property
    def is_ambiguous(self) -> bool:
        """Whether it has words and text, and nothing tells which of them its offsets count."""
        if self.words is None or self.text is None:
            return False
        arguments = (place for relation in self.relations for place in (relation.head, relation.tail))
        has_offsets = self.entities or any(not isinstance(place, int) for place in arguments)
        are_named = self.entities and all(entity.text is not None for entity in self.entities)
        return bool(has_offsets and not are_named)


def _rows(path: Path, reading: Reading) -> Iterator[Row]:
    for where, line in reading.json_rows(path, _Line):
        if line.words is None and line.text is None:
            reading.fail("bad-row", where, "neither words nor text; give one of them")
            continue
        if line.is_ambiguous:
            reading.fail("bad-row", where, _AMBIGUOUS)
            continue
        if line.model_extra:
            reading.warn("unknown-key", where, f"not read: {', '.join(sorted(line.model_extra))}")
        if line.words is not None and line.text is not None and _plain(line.text) != _plain("".join(line.words)):
            reading.warn("text-differs", where, "words and text are not the same; words count")
        example = _Resolver(line, where, reading).example(f"{path.stem}:{where.rpartition(':')[2]}")
        if example.words:
            yield Row(example, where, line.split)
        else:
            reading.warn("empty-post", where, "a post without words; it is left out")


def _plain(text: str) -> str:
    return "".join(text.split())


class _Resolver:
    """One line and its words: offsets of either kind to spans of words, with every defect reported."""

    def __init__(self, line: _Line, where: str, reading: Reading) -> None:
        self.line, self.where, self.reading = line, where, reading
        self.pieces = [] if line.words is not None else split(line.text or "", reading.splitting)
        self.words = tuple(line.words if line.words is not None else (piece.text for piece in self.pieces))

    def example(self, name: str) -> Example:
        line = self.line
        self.reading.check_row_words(self.words, self.where)
        spans = [self._span(entity.start, entity.end, "entity") for entity in line.entities]
        return Example(
            id=name if line.id is None else line.id,
            words=self.words,
            entities=self._entities(spans),
            relations=tuple(found for relation in line.relations if (found := self._relation(relation, spans))),
            image_id=line.image or None,
            caption=Caption(line.image or "", line.caption.text, line.caption.captioner) if line.caption else None,
            origin=Origin(**line.origin.model_dump()) if line.origin else None,
        )

    def _entities(self, spans: list[Span | None]) -> tuple[Entity, ...]:
        kept: list[Entity] = []
        taken = [False] * len(self.words)
        for entity, span in zip(self.line.entities, spans, strict=True):
            if span is None or not self._is_named(entity, span):
                continue
            if any(taken[span.start : span.end]):
                message = f"the {entity.label} at [{entity.start}, {entity.end}) overlaps another entity; keep one"
                self.reading.fail("overlap", self.where, message)
                continue
            taken[span.start : span.end] = [True] * (span.end - span.start)
            kept.append(Entity(span, self.reading.label(entity.label), orphan=entity.orphan))
        return tuple(kept)

    def _is_named(self, entity: _Entity, span: Span) -> bool:
        """Whether an entity has a label and is what its row says that it is, if it says so."""
        there = " ".join(self.words[span.start : span.end])
        if entity.text is not None and entity.text.split() != (self._text_of(entity) or there).split():
            message = f"[{entity.start}, {entity.end}) is {quoted(self._text_of(entity) or there)}"
            self.reading.fail("mention-differs", self.where, f"{message}, not {quoted(entity.text)}")
            return False
        return self.reading.has_label(entity.label, self.where)

    def _text_of(self, entity: _Entity) -> str | None:
        """The characters of an entity that counts them."""
        return None if self.line.words is not None else (self.line.text or "")[entity.start : entity.end]

    def _relation(self, relation: _Relation, spans: list[Span | None]) -> Relation | None:
        head, tail = self._argument(relation.head, spans), self._argument(relation.tail, spans)
        is_whole = head and tail and self.reading.has_label(relation.label, self.where)
        return Relation(head, tail, relation.label) if head and tail and is_whole else None

    def _argument(self, place: int | list[int] | _Offsets, spans: list[Span | None]) -> Span | None:
        if isinstance(place, int):
            if 0 <= place < len(spans):
                return spans[place]
            self.reading.fail("bad-span", self.where, f"a relation names entity {place} of {len(spans)}, from 0")
            return None
        offsets = [place.start, place.end] if isinstance(place, _Offsets) else place
        if len(offsets) != 2:
            self.reading.fail("bad-span", self.where, f"a relation's argument {offsets} is no [start, end]")
            return None
        return self._span(offsets[0], offsets[1], "argument")

    def _span(self, start: int, end: int, what: str) -> Span | None:
        by_characters = self.line.words is None
        size = len(self.line.text or "") if by_characters else len(self.words)
        if 0 <= start < end <= size and (span := self._covering(start, end) if by_characters else Span(start, end)):
            return span
        unit = "characters" if by_characters else "words"
        message = f"the {what} [{start}, {end}) does not lie in a post of {size} {unit} (the end is exclusive)"
        self.reading.fail("bad-span", self.where, message)
        return None

    def _covering(self, start: int, end: int) -> Span | None:
        if not (span := words_touched(self.pieces, start, end)):
            return None
        first, last = self.pieces[span.start], self.pieces[span.end - 1]
        if (first.start, last.end) != (start, end):
            message = f"[{start}, {end}) cuts a word; it is widened to [{first.start}, {last.end})"
            self.reading.warn("offsets-cut-word", self.where, message)
        return span
