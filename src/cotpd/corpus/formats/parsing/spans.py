"""Validation of word spans: within their example, and entities without overlaps."""

from __future__ import annotations

from collections.abc import Iterable

from cotpd.core.records import Entity, Span
from cotpd.corpus.formats.parsing.reading import Reading


def check_span(start: int, end: int, num_words: int, where: str, reading: Reading) -> Span | None:
    """Return the words ``[start, end)`` as a span; report an error and return None if they do not exist."""
    if 0 <= start < end <= num_words:
        return Span(start, end)
    message = f"invalid word offsets [{start}, {end}) in a post of length {num_words} (the end is exclusive)"
    reading.fail("bad-span", where, f"{message}; correct them")
    return None


def resolve_overlaps(entities: Iterable[Entity], where: str, reading: Reading) -> tuple[Entity, ...]:
    """Return the entities in order, with renamed labels and without overlaps.

    Of overlapping entities the longest is kept, and each other one is reported. A blank label is an error.
    """
    kept: list[Entity] = []
    owners: dict[int, int] = {}  # word -> index of the kept entity that covers it
    entities = [entity for entity in entities if reading.check_label(entity.label, where)]
    for entity in sorted(dict.fromkeys(entities), key=lambda entity: entity.span.start - entity.span.end):
        span = entity.span
        rivals = [owners[word] for word in (span.start, span.end - 1) if word in owners]  # at least as long as it
        if not rivals:
            owners.update(dict.fromkeys(range(span.start, span.end), len(kept)))
            kept.append(Entity(span, reading.rename_label(entity.label), orphan=entity.orphan))
            continue
        rival = kept[min(rivals)]
        message = f"skipped {entity.label} at words [{span.start}, {span.end}), which overlaps the longer or earlier "
        reading.warn("overlap", where, f"{message}{rival.label} at [{rival.span.start}, {rival.span.end})")
    return tuple(sorted(kept, key=lambda entity: entity.span))
