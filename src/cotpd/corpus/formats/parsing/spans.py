"""Spans of words as formats give them: inside their post, and entities that do not overlap."""

from __future__ import annotations

from collections.abc import Iterable

from cotpd.core.records import Entity, Span
from cotpd.corpus.formats.parsing.reading import Reading


def word_span(start: int, end: int, num_words: int, where: str, reading: Reading) -> Span | None:
    """The words ``[start, end)`` of a post; None, and an error reported, where it has no such words."""
    if 0 <= start < end <= num_words:
        return Span(start, end)
    reading.fail("bad-span", where, f"the words [{start}, {end}) do not lie in a post of {num_words} words")
    return None


def flat(entities: Iterable[Entity], where: str, reading: Reading) -> tuple[Entity, ...]:
    """The entities in order, renamed; of those that overlap the longest is kept, and each other one reported.

    One with a blank label is an error and left out.
    """
    kept: list[Entity] = []
    holders: dict[int, int] = {}  # by word, the number of the kept entity that it is part of
    entities = [entity for entity in entities if reading.has_label(entity.label, where)]
    for entity in sorted(dict.fromkeys(entities), key=lambda entity: entity.span.start - entity.span.end):
        span = entity.span
        rivals = [holders[word] for word in (span.start, span.end - 1) if word in holders]  # as long as it, or longer
        if not rivals:
            holders.update(dict.fromkeys(range(span.start, span.end), len(kept)))
            kept.append(Entity(span, reading.label(entity.label), orphan=entity.orphan))
            continue
        rival = kept[min(rivals)]
        message = f"the {entity.label} at the words [{span.start}, {span.end}) overlaps the {rival.label} at "
        reading.warn("overlap", where, f"{message}[{rival.span.start}, {rival.span.end}), which is kept")
    return tuple(sorted(kept, key=lambda entity: entity.span))
