"""Conversion between entities and word tags, with an explicit policy for tags that break their scheme."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np

from cotpd.core.errors import DataError
from cotpd.core.records import Entity, Span

Scheme = Literal["BIO", "BIOES"]
TagScheme = Literal["IOB1", "BIO", "BIOES", "BILOU"]
"""Tag schemes of files. BIO is IOB2. In IOB1, ``B-`` only starts an entity right after another of the same type."""

OUTSIDE = "O"
EXPECTED_TAG = "expected O, or a type with the prefix B-, I-, E-, S-, L- or U-"
"""The end of every message about an invalid tag."""
_PREFIXES: dict[Scheme, str] = {"BIO": "BI", "BIOES": "BIES"}
_SEVERAL = re.compile(r"\s*[,;|]\s*")
_OPENS, _CLOSES = frozenset("BSU"), frozenset("ESLU")


class Repair(StrEnum):
    """What to do with an entity whose tags break the scheme.

    Tags break the scheme if an ``I-`` or ``E-`` tag continues no entity, and in BIOES and BILOU also if no ``E-``,
    ``L-``, ``S-`` or ``U-`` tag ends the entity.

    Attributes:
        CONLLEVAL: Keep the entity, as conlleval and seqeval do.
        DROP: Skip the entity.
        STRICT: Raise `DataError`.
    """

    CONLLEVAL = "conlleval"
    DROP = "drop"
    STRICT = "strict"


@dataclass(frozen=True, slots=True)
class LabelSet:
    """The entity types of a corpus and their tags in a scheme. Tag 0 is ``O``.

    Attributes:
        types: The entity types, sorted.
        scheme: The tag scheme.
    """

    types: tuple[str, ...]
    scheme: Scheme = "BIO"

    @classmethod
    def of(cls, types: Iterable[str], scheme: Scheme = "BIO") -> LabelSet:
        """Create a label set from types in any order, with or without repetitions."""
        return cls(tuple(sorted(set(types))), scheme)

    @property
    def tags(self) -> tuple[str, ...]:
        """Return all tags: ``O``, then ``B-X`` and ``I-X`` (in BIOES also ``E-X`` and ``S-X``) for each type X."""
        return (OUTSIDE, *(f"{prefix}-{name}" for name in self.types for prefix in _PREFIXES[self.scheme]))

    def encode(self, entities: Iterable[Entity], num_words: int) -> np.ndarray:
        """Convert entities to tag indices.

        Args:
            entities: Entities without overlaps.
            num_words: The number of words of the example.

        Returns:
            The tag index of each word, ``[num_words]`` int64.

        Raises:
            DataError: If a type is not in this label set, a span exceeds the words, or entities overlap.
        """
        index = {tag: number for number, tag in enumerate(self.tags)}
        return np.array([self._index(index, tag) for tag in to_tags(entities, num_words, self.scheme)], dtype=np.int64)

    def decode(self, indices: Sequence[int]) -> tuple[Entity, ...]:
        """Convert tag indices to entities. An entity that starts with ``I-`` is kept, as in conlleval."""
        tags = self.tags
        return to_entities([tags[index] for index in indices])

    def allowed_transitions(self) -> np.ndarray:
        """Return which tag may follow which, ``[tags + 2, tags + 2]`` bool, where a column follows its row.

        The last two rows and columns are the start and the end of the sequence.
        """
        tags = [*self.tags, "start", "end"]
        return np.array([[_may_follow(row, column, self.scheme) for column in tags] for row in tags])

    def _index(self, index: dict[str, int], tag: str) -> int:
        if tag not in index:
            expected = f"expected one of {', '.join(self.types)}"
            raise DataError(f"unknown entity type {tag[2:]!r}, {expected}; rename it with label_map")
        return index[tag]


def to_tags(entities: Iterable[Entity], num_words: int, scheme: Scheme = "BIO") -> list[str]:
    """Convert entities to the tags of ``num_words`` words.

    Raises:
        DataError: If a span exceeds the words or entities overlap.
    """
    tags = [OUTSIDE] * num_words
    for entity in entities:
        span, length = entity.span, entity.span.end - entity.span.start
        if span.end > num_words:
            offsets = f"[{span.start}, {span.end})"
            raise DataError(f"span {offsets} exceeds the text of {num_words} words; correct its offsets")
        if any(tag != OUTSIDE for tag in tags[span.start : span.end]):
            raise DataError(f"{entity.label} at [{span.start}, {span.end}) overlaps another entity; remove one of them")
        tags[span.start : span.end] = [f"{prefix}-{entity.label}" for prefix in _prefixes(length, scheme)]
    return tags


def to_entities(
    tags: Sequence[str], repair: Repair = Repair.CONLLEVAL, *, scheme: TagScheme | None = None
) -> tuple[Entity, ...]:
    """Convert BIO, BIOES or BILOU tags to entities, in order.

    Args:
        tags: One tag per word.
        repair: What to do with an entity whose tags break the scheme. A kept one is marked ``orphan``.
        scheme: The scheme of the tags. Only in BIOES and BILOU does a missing end break the scheme.

    Raises:
        DataError: If a tag is neither ``O`` nor ``PREFIX-TYPE``, or if an entity breaks the scheme and ``repair`` is
            `Repair.STRICT`.
    """
    entities: list[Entity] = []
    start, label = 0, ""
    for position, tag in enumerate([*tags, OUTSIDE]):
        prefix, name = split_tag(tag)
        if label and (prefix in _OPENS or name != label or _closes(tags[position - 1])):
            defect = describe_defect(tags[start:position], scheme)
            if defect and repair is Repair.STRICT:
                raise DataError(f"word {start + 1}: {defect}; set repair to 'conlleval' (keep it) or 'drop' (skip it)")
            if not (defect and repair is Repair.DROP):
                entities.append(Entity(Span(start, position), label, orphan=bool(defect)))
            label = ""
        if name and not label:
            start, label = position, name
    return tuple(entities)


def describe_defect(tags: Sequence[str], scheme: TagScheme | None) -> str:
    """Describe how the tags of one entity break the scheme; return an empty string if they do not."""
    if split_tag(tags[0])[0] not in _OPENS:
        return f"tag {tags[0]!r} continues no entity"
    if scheme in ("BIOES", "BILOU") and not _closes(tags[-1]):
        return f"no tag ends the entity whose last tag is {tags[-1]!r}, as {scheme} requires"
    return ""


class SchemeEvidence(NamedTuple):
    """Tag counts from which the scheme of a file is detected.

    ``E-`` or ``S-`` tags indicate BIOES, ``L-`` or ``U-`` tags BILOU, and both together a mixture, unless most entities
    end without such a tag. Otherwise the scheme is IOB1 if more entities start with ``I-`` than with ``B-``, and BIO if
    not. For IOB1, only entities that follow ``O`` or another type are counted.

    Attributes:
        prefixes: The prefixes that occur.
        num_inside: The number of entities that start with ``I-``.
        num_begun: The number of entities that start with ``B-``.
        num_ended: The number of entities that end with ``E-``, ``S-``, ``L-`` or ``U-``.
        num_open: The number of entities that end without such a tag.
    """

    prefixes: frozenset[str]
    num_inside: int
    num_begun: int
    num_ended: int = 0
    num_open: int = 0

    @property
    def is_mixed(self) -> bool:
        """Return True if prefixes of both BIOES and BILOU occur."""
        return bool(self.prefixes & set("ES")) and bool(self.prefixes & set("LU"))

    @property
    def has_stray_ends(self) -> bool:
        """Return True if ``E-``, ``S-``, ``L-`` or ``U-`` tags occur, but most entities end without one."""
        return 0 < self.num_ended < self.num_open

    @property
    def scheme(self) -> TagScheme | None:
        """Return the scheme; None if there are no entities or the schemes are mixed."""
        if (self.is_mixed and not self.has_stray_ends) or not self.prefixes - {OUTSIDE}:
            return None
        if self.prefixes & set("ESLU") and not self.has_stray_ends:
            return "BIOES" if self.prefixes & set("ES") else "BILOU"
        return "IOB1" if self.num_inside > self.num_begun else "BIO"


def detect_scheme(sequences: Iterable[Sequence[str]]) -> TagScheme | None:
    """Detect the tag scheme of many sequences, as described in `SchemeEvidence`.

    Raises:
        DataError: If a tag is invalid.
    """
    return collect_evidence(sequences).scheme


def collect_evidence(sequences: Iterable[Sequence[str]]) -> SchemeEvidence:
    """Count what indicates the tag scheme of many sequences.

    Raises:
        DataError: If a tag is invalid.
    """
    prefixes: set[str] = set()
    num_inside = num_begun = num_ended = num_open = 0
    for tags in sequences:
        ends = [_closes(tags[entity.span.end - 1]) for entity in to_entities(tags)]
        num_ended, num_open = num_ended + sum(ends), num_open + len(ends) - sum(ends)
        for before, tag in pairwise([OUTSIDE, *tags]):
            (_, type_before), (prefix, name) = split_tag(before), split_tag(tag)
            prefixes.add(prefix)
            num_inside += prefix == "I" and name != type_before
            num_begun += prefix == "B" and name != type_before
    return SchemeEvidence(frozenset(prefixes), num_inside, num_begun, num_ended, num_open)


def from_iob1(tags: Sequence[str]) -> list[str]:
    """Convert IOB1 tags to BIO: an ``I-`` that starts an entity becomes a ``B-``."""
    return [
        f"B-{tag[2:]}" if tag.startswith("I-") and tag[2:] != before[2:] else tag
        for before, tag in pairwise([OUTSIDE, *tags])
    ]


def split_tag(tag: str) -> tuple[str, str]:
    """Split ``B-PER`` into ``("B", "PER")`` and ``O`` into ``("O", "")``. A type may contain hyphens.

    Raises:
        DataError: If the tag is neither ``O`` nor ``PREFIX-TYPE``.
    """
    prefix, hyphen, name = tag.partition("-")
    if tag != OUTSIDE and not (hyphen and name.strip() and prefix in ("B", "I", "E", "S", "L", "U")):
        raise DataError(f"invalid tag {tag!r}; {EXPECTED_TAG}")
    return prefix, name


def is_tag(text: str) -> bool:
    """Return True if a text is a tag of any scheme."""
    try:
        split_tag(text)
    except DataError:
        return False
    return True


def names_several_types(tag: str) -> bool:
    """Return True for several tags in one, such as ``B-person,B-group`` or ``B-PER|O``."""
    first, *others = _SEVERAL.split(tag)
    return is_tag(first) and any(map(is_tag, others))


def _prefixes(length: int, scheme: Scheme) -> str:
    if scheme == "BIO":
        return "B" + "I" * (length - 1)
    return "S" if length == 1 else "B" + "I" * (length - 2) + "E"


def _closes(tag: str) -> bool:
    return split_tag(tag)[0] in _CLOSES


def _may_follow(row: str, column: str, scheme: Scheme) -> bool:
    if row == "end" or column == "start" or (row == "start" and column == "end"):
        return False
    row_prefix, row_type = ("O", "") if row == "start" else split_tag(row)
    prefix, name = ("O", "") if column == "end" else split_tag(column)
    continues = prefix in ("I", "E")
    must_continue = scheme == "BIOES" and row_prefix in ("B", "I")
    if continues:
        return row_prefix in ("B", "I") and row_type == name
    return not must_continue
