"""Our own format, written by `to_row`: JSON lines ``{id, words | text, entities, relations, sentiments, image}``.

Offsets count words, and the end is exclusive. With ``text`` instead of ``words`` they count characters (code points).
The head and the tail of a relation are ``[start, end]``, ``{"start", "end"}`` or the index of an entity.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field

from cotpd.core.files import read_jsonl, write_jsonl
from cotpd.core.records import Caption, Entity, Example, Origin, Relation, Span, TargetSentiment, VariantKind
from cotpd.core.sidecars.example_row import to_row
from cotpd.corpus.defects import Defect, quote
from cotpd.corpus.formats.parsing.foreign_rows import to_own_row
from cotpd.corpus.formats.parsing.json_values import json_values
from cotpd.corpus.formats.parsing.offsets import TextMention, counts_utf16, from_utf16, split_text, words_touched
from cotpd.corpus.formats.parsing.reading import Id, ParsedExample, Reading, StrictRow, make_ids_unique
from cotpd.corpus.formats.parsing.spans import check_span

_AMBIGUOUS = (
    "with both `words` and `text`, offsets may count words or characters; "
    "remove one of the two, or add its `text` to each entity (then offsets count words)"
)


def read(path: Path, reading: Reading) -> Iterator[ParsedExample]:
    """Read the posts of a file in order.

    A post without an id is called ``<file name>:<line>``. If a row has both ``words`` and ``text``, the words are used,
    and every entity must have its own ``text`` so that its offsets are unambiguous. These are errors: a row of another
    shape (skipped), an empty word, a span outside the post, overlapping entities, an entity whose ``text`` differs, and
    a blank label (the entity or relation is skipped). Character offsets within a word are extended to the whole word,
    with a warning; if all offsets fit only as UTF-16 units, they are read so. Rows of other tools are converted by
    `to_own_row`.
    """
    return make_ids_unique(_rows(path, reading), reading)


def write(path: Path, examples: Iterable[Example], *, split: str | None = None) -> Counter[str]:
    """Write a file that reads back the same. Knowledge and scores are not part of it.

    Returns:
        The number of values that are lost, by kind: always empty, since the format holds all values.
    """
    write_jsonl(path, (to_row(example, split) for example in examples))
    return Counter()


def write_splits(path: Path, splits: Mapping[str, Iterable[Example]]) -> None:
    """Write the examples of several splits to one file, in which each row names its split."""
    write_jsonl(path, (to_row(example, split) for split, examples in splits.items() for example in examples))


class _JsonlOffsets(StrictRow):
    start: int
    end: int


class _JsonlEntity(_JsonlOffsets):
    label: str
    orphan: bool = False
    text: str | None = None


class _JsonlRelation(StrictRow):
    head: int | list[int] | _JsonlOffsets
    tail: int | list[int] | _JsonlOffsets
    label: str


class _JsonlSentiment(_JsonlOffsets):
    label: str


class _JsonlCaption(StrictRow):
    text: str
    captioner: str = ""


class _JsonlOrigin(StrictRow):
    parent: str
    kind: VariantKind = Field(strict=False)
    template: str = ""
    model: str = ""


class _JsonlRow(StrictRow):
    model_config = ConfigDict(extra="allow")

    id: Id | None = None
    words: list[str] | None = None
    text: str | None = None
    entities: list[_JsonlEntity] = Field(default=[])
    relations: list[_JsonlRelation] = Field(default=[])
    sentiments: list[_JsonlSentiment] = Field(default=[])
    image: Id | None = None
    split: str | None = None
    caption: _JsonlCaption | None = None
    origin: _JsonlOrigin | None = None

    @property
    def is_ambiguous(self) -> bool:
        """Return True if offsets could count either the words or the characters of the text."""
        if self.words is None or self.text is None:
            return False
        arguments = (place for relation in self.relations for place in (relation.head, relation.tail))
        has_offsets = self.entities or self.sentiments or any(not isinstance(place, int) for place in arguments)
        are_named = self.entities and all(entity.text is not None for entity in self.entities)
        return bool(has_offsets and not are_named)


_OWN_KEYS = _JsonlRow.model_fields.keys()


def _rows(path: Path, reading: Reading) -> Iterator[ParsedExample]:
    for where, values in _objects(path, reading):
        own = values if values.keys() <= _OWN_KEYS and _has_own_entities(values) else to_own_row(values, where, reading)
        if own is None or (line := reading.validate(own, where, _JsonlRow)) is None:
            continue
        if line.words is None and line.text is None:
            reading.fail("bad-row", where, "the row has neither `words` nor `text`; add one of them")
            continue
        if line.is_ambiguous:
            reading.fail("bad-row", where, _AMBIGUOUS)
            continue
        reading.report_unknown_keys(line.model_extra or (), where)
        if line.words is not None and line.text is not None and _squeeze(line.text) != _squeeze("".join(line.words)):
            reading.warn("text-differs", where, "`words` and `text` differ; used `words`")
        example = _JsonlResolver(line, where, reading).example(f"{path.stem}:{where.rpartition(':')[2]}")
        if reading.check_not_empty(example.words, where):
            yield ParsedExample(example, where, line.split)


def _objects(path: Path, reading: Reading) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the objects of JSON lines, or of a JSON array. In spaCy's ``[text, {entities}]`` both are one object."""
    if path.suffix.lower() != ".json":
        yield from read_jsonl(path, on_defect=lambda error: reading.report(Defect.of(error)))
        return
    for where, value in json_values(path, reading):
        match value:
            case dict():
                yield where, value
            case [str(text), dict(values)]:
                yield where, {"text": text, **values}
            case _:
                message = f"expected an object, got {type(value).__name__}; correct this row to match the format"
                reading.fail("bad-row", where, message)


def _has_own_entities(values: Mapping[str, Any]) -> bool:
    """Return True if a row has no entities, or the first one looks like one of ours."""
    entities = values.get("entities")
    if not isinstance(entities, list) or not entities:
        return True
    return isinstance(entities[0], dict) and entities[0].keys() >= {"start", "end", "label"}


def _squeeze(text: str) -> str:
    return "".join(text.split())


class _JsonlResolver:
    """Converts a row to an example: offsets of words or characters become spans, and defects are reported."""

    def __init__(self, line: _JsonlRow, where: str, reading: Reading) -> None:
        self.line, self.where, self.reading = line, where, reading
        self.pieces = [] if line.words is not None else split_text(line.text or "", reading.splitting)
        words = line.words if line.words is not None else [piece.text for piece in self.pieces]
        self.words = tuple(map(sys.intern, words))  # a word of many posts is in memory once
        self.is_utf16 = line.words is None and self._counts_utf16()

    def _counts_utf16(self) -> bool:
        line = self.line
        marks = [TextMention(entity.start, entity.end, self.where, entity.text) for entity in line.entities]
        marks += [TextMention(target.start, target.end, self.where) for target in line.sentiments]
        if not counts_utf16(line.text or "", marks, self.pieces):
            return False
        message = "read the offsets as UTF-16 units because only then do all begin and end at words"
        self.reading.warn("utf16-offsets", self.where, message)
        return True

    def _code_points(self, start: int, end: int) -> tuple[int, int]:
        text = self.line.text or ""
        return (from_utf16(text, start), from_utf16(text, end)) if self.is_utf16 else (start, end)

    def example(self, name: str) -> Example:
        line = self.line
        self.reading.check_row_words(self.words, self.where)
        spans = [self._span(entity.start, entity.end) for entity in line.entities]
        return Example(
            id=name if line.id is None else line.id,
            words=self.words,
            entities=self._entities(spans),
            relations=tuple(r for relation in line.relations if (r := self._relation(relation, spans))),
            image_id=line.image or None,
            caption=Caption(line.image or "", line.caption.text, line.caption.captioner) if line.caption else None,
            origin=Origin(**line.origin.model_dump()) if line.origin else None,
            sentiments=tuple(s for sentiment in line.sentiments if (s := self._sentiment(sentiment))),
        )

    def _entities(self, spans: list[Span | None]) -> tuple[Entity, ...]:
        kept: list[Entity] = []
        taken = [False] * len(self.words)
        for entity, span in zip(self.line.entities, spans, strict=True):
            if span is None or not self._check_entity(entity, span):
                continue
            if any(taken[span.start : span.end]):
                message = (
                    f"{entity.label} at [{entity.start}, {entity.end}) overlaps another entity; remove one of them"
                )
                self.reading.fail("overlap", self.where, message)
                continue
            taken[span.start : span.end] = [True] * (span.end - span.start)
            kept.append(Entity(span, self.reading.rename_label(entity.label), orphan=entity.orphan))
        return tuple(kept)

    def _check_entity(self, entity: _JsonlEntity, span: Span) -> bool:
        """Return True if an entity has a label and covers the text that its row claims."""
        if self.line.words is None:
            start, end = self._code_points(entity.start, entity.end)
            unit, covered = "characters", (self.line.text or "")[start:end]
        else:
            unit, covered = "words", " ".join(self.words[span.start : span.end])
        if entity.text is not None and entity.text.split() != covered.split():
            message = f"{unit} [{entity.start}, {entity.end}) are {quote(covered)}, but the entity says "
            self.reading.fail("mention-differs", self.where, f"{message}{quote(entity.text)}; correct one of them")
            return False
        return self.reading.check_label(entity.label, self.where)

    def _relation(self, relation: _JsonlRelation, spans: list[Span | None]) -> Relation | None:
        head, tail = self._argument(relation.head, spans), self._argument(relation.tail, spans)
        if head is None or tail is None or not self.reading.check_label(relation.label, self.where):
            return None
        return Relation(head, tail, relation.label)

    def _sentiment(self, sentiment: _JsonlSentiment) -> TargetSentiment | None:
        span = self._span(sentiment.start, sentiment.end)
        if span is None or not self.reading.check_label(sentiment.label, self.where):
            return None
        return TargetSentiment(span, sentiment.label)

    def _argument(self, place: int | list[int] | _JsonlOffsets, spans: list[Span | None]) -> Span | None:
        if isinstance(place, int):
            if 0 <= place < len(spans):
                return spans[place]
            message = (
                f"a relation refers to entity {place} (counted from 0), but the number of entities is {len(spans)}"
            )
            self.reading.fail("bad-span", self.where, f"{message}; correct the index")
            return None
        offsets = [place.start, place.end] if isinstance(place, _JsonlOffsets) else place
        if len(offsets) != 2:
            self.reading.fail(
                "bad-span", self.where, f"expected a relation argument [start, end], got {offsets}; correct it"
            )
            return None
        return self._span(offsets[0], offsets[1])

    def _span(self, start: int, end: int) -> Span | None:
        if self.line.words is not None:
            return check_span(start, end, len(self.words), self.where, self.reading)
        size = len(self.line.text or "")
        start, end = self._code_points(start, end)
        if 0 <= start < end <= size and (span := self._covering_span(start, end)):
            return span
        message = (
            f"character offsets [{start}, {end}) cover no word of the text of length {size} (the end is exclusive)"
        )
        self.reading.fail("bad-span", self.where, f"{message}; correct them")
        return None

    def _covering_span(self, start: int, end: int) -> Span | None:
        if not (span := words_touched(self.pieces, start, end)):
            return None
        first, last = self.pieces[span.start], self.pieces[span.end - 1]
        if (first.start, last.end) != (start, end):
            message = (
                f"extended characters [{start}, {end}) to [{first.start}, {last.end}), since they end within a word"
            )
            self.reading.warn("offsets-cut-word", self.where, message)
        return span
