"""Entities as tags of words and back, with an explicit policy for tags that break the scheme."""

from __future__ import annotations

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
"""How a file marks entities. IOB1: an ``I-`` begins one, a ``B-`` only behind one of the same type; BIO is IOB2."""

OUTSIDE = "O"
_PREFIXES: dict[Scheme, str] = {"BIO": "BI", "BIOES": "BIES"}
_OPENS, _CLOSES = frozenset("BSU"), frozenset("ESLU")


class Repair(StrEnum):
    """What to do with an entity whose tags break the scheme.

    It does so where an ``I-`` or ``E-`` continues nothing, and in BIOES and BILOU where no ``E-``, ``L-``, ``S-`` or
    ``U-`` ends it. ``conlleval``: it is an entity all the same (as conlleval and seqeval have it); ``drop``: it is left
    out; ``strict``: a `DataError`.
    """

    CONLLEVAL = "conlleval"
    DROP = "drop"
    STRICT = "strict"


@dataclass(frozen=True, slots=True)
class LabelSet:
    """The entity types of a corpus, sorted, and the tags of a scheme over them; tag 0 is ``O``."""

    types: tuple[str, ...]
    scheme: Scheme = "BIO"

    @classmethod
    def of(cls, types: Iterable[str], scheme: Scheme = "BIO") -> LabelSet:
        """The label set of these types, each once and sorted."""
        return cls(tuple(sorted(set(types))), scheme)

    @property
    def tags(self) -> tuple[str, ...]:
        """Every tag: ``O``, then ``B-X``, ``I-X`` (and ``E-X``, ``S-X``) of each type."""
        return (OUTSIDE, *(f"{prefix}-{name}" for name in self.types for prefix in _PREFIXES[self.scheme]))

    def encode(self, entities: Iterable[Entity], num_words: int) -> np.ndarray:
        """Tag indices of the words, ``[num_words]`` int64.

        Raises `DataError` for a type outside the set, a span outside the post, or entities that overlap.
        """
        index = {tag: number for number, tag in enumerate(self.tags)}
        return np.array([self._index(index, tag) for tag in to_tags(entities, num_words, self.scheme)], dtype=np.int64)

    def decode(self, indices: Sequence[int]) -> tuple[Entity, ...]:
        """The entities of a sequence of tag indices, orphans begun as conlleval does."""
        tags = self.tags
        return to_entities([tags[index] for index in indices])

    def allowed_transitions(self) -> np.ndarray:
        """``[tags + 2, tags + 2]`` bool: may column follow row? The last two stand for the start and the end."""
        tags = [*self.tags, "start", "end"]
        return np.array([[_may_follow(row, column, self.scheme) for column in tags] for row in tags])

    def _index(self, index: dict[str, int], tag: str) -> int:
        if tag not in index:
            raise DataError(f"the type {tag[2:]!r} is not among {', '.join(self.types)}; map it with data.label_map")
        return index[tag]


def to_tags(entities: Iterable[Entity], num_words: int, scheme: Scheme = "BIO") -> list[str]:
    """The tags of a post's words. Raises `DataError` for a span outside the post or entities that overlap."""
    tags = [OUTSIDE] * num_words
    for entity in entities:
        span, length = entity.span, entity.span.end - entity.span.start
        if span.end > num_words:
            raise DataError(f"the span [{span.start}, {span.end}) lies outside a post of {num_words} words")
        if any(tag != OUTSIDE for tag in tags[span.start : span.end]):
            raise DataError(f"the {entity.label} at [{span.start}, {span.end}) overlaps another entity")
        tags[span.start : span.end] = [f"{prefix}-{entity.label}" for prefix in _prefixes(length, scheme)]
    return tags


def to_entities(
    tags: Sequence[str], repair: Repair = Repair.CONLLEVAL, *, scheme: TagScheme | None = None
) -> tuple[Entity, ...]:
    """The entities that a sequence of BIO, BIOES or BILOU tags marks, in order.

    One that breaks the scheme follows ``repair`` and is marked ``orphan``; that nothing ends it breaks BIOES and BILOU
    alone, which ``scheme`` tells. Raises `DataError` for a tag that is neither ``O`` nor ``PREFIX-TYPE``, and for a
    broken entity when ``repair`` is strict.
    """
    found: list[Entity] = []
    start, label = 0, ""
    for position, tag in enumerate([*tags, OUTSIDE]):
        prefix, name = split_tag(tag)
        if label and (prefix in _OPENS or name != label or _closed(tags[position - 1])):
            wrong = defect_of(tags[start:position], scheme)
            if wrong and repair is Repair.STRICT:
                raise DataError(f"{wrong}, at word {start + 1}; repair with conlleval or drop")
            if not (wrong and repair is Repair.DROP):
                found.append(Entity(Span(start, position), label, orphan=bool(wrong)))
            label = ""
        if name and not label:
            start, label = position, name
    return tuple(found)


def defect_of(tags: Sequence[str], scheme: TagScheme | None) -> str:
    """How the tags of one entity break the scheme, in words; empty where they do not."""
    if split_tag(tags[0])[0] not in _OPENS:
        return f"{tags[0]} continues nothing"
    if scheme in ("BIOES", "BILOU") and not _closed(tags[-1]):
        return f"{tags[-1]} is the last of its entity, which nothing ends in {scheme}"
    return ""


class SchemeSigns(NamedTuple):
    """What tells a scheme: the prefixes seen, and how many entities behind another type or none begin with each.

    ``E-`` or ``S-`` tell BIOES, ``L-`` or ``U-`` BILOU, both nothing. Else it is IOB1 where more begin with an ``I-``
    (``num_inside``) than with a ``B-`` (``num_begun``).
    """

    prefixes: frozenset[str]
    num_inside: int
    num_begun: int

    @property
    def is_mixed(self) -> bool:
        """Whether there are signs of both BIOES and BILOU."""
        return bool(self.prefixes & set("ES")) and bool(self.prefixes & set("LU"))

    @property
    def scheme(self) -> TagScheme | None:
        """The scheme; None where no entity or a mixture tells none."""
        if self.is_mixed or not self.prefixes - {OUTSIDE}:
            return None
        if self.prefixes & set("ESLU"):
            return "BIOES" if self.prefixes & set("ES") else "BILOU"
        return "IOB1" if self.num_inside > self.num_begun else "BIO"


def detect_scheme(sequences: Iterable[Sequence[str]]) -> TagScheme | None:
    """The scheme that the tags of many posts follow, as `SchemeSigns` has it. Raises `DataError` for what is no tag."""
    return scheme_signs(sequences).scheme


def scheme_signs(sequences: Iterable[Sequence[str]]) -> SchemeSigns:
    """What tells the scheme of the tags of many posts. Raises `DataError` for what is no tag."""
    prefixes: set[str] = set()
    num_inside = num_begun = 0
    for tags in sequences:
        for before, tag in pairwise([OUTSIDE, *tags]):
            (_, type_before), (prefix, name) = split_tag(before), split_tag(tag)
            prefixes.add(prefix)
            num_inside += prefix == "I" and name != type_before
            num_begun += prefix == "B" and name != type_before
    return SchemeSigns(frozenset(prefixes), num_inside, num_begun)


def from_iob1(tags: Sequence[str]) -> list[str]:
    """IOB1 tags as BIO tags: an ``I-`` that continues nothing becomes a ``B-``."""
    return [
        f"B-{tag[2:]}" if tag.startswith("I-") and tag[2:] != before[2:] else tag
        for before, tag in pairwise([OUTSIDE, *tags])
    ]


def split_tag(tag: str) -> tuple[str, str]:
    """``B-PER`` as ``("B", "PER")``, ``O`` as ``("O", "")``; the type may hold hyphens itself."""
    prefix, hyphen, name = tag.partition("-")
    if tag != OUTSIDE and not (hyphen and name.strip() and prefix in ("B", "I", "E", "S", "L", "U")):
        raise DataError(f"{tag!r} is no tag; O or a B-, I-, E-, S-, L- or U- with a type is expected")
    return prefix, name


def is_tag(text: str) -> bool:
    """Whether a text is a tag of any scheme."""
    try:
        split_tag(text)
    except DataError:
        return False
    return True


def _prefixes(length: int, scheme: Scheme) -> str:
    if scheme == "BIO":
        return "B" + "I" * (length - 1)
    return "S" if length == 1 else "B" + "I" * (length - 2) + "E"


def _closed(tag: str) -> bool:
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
