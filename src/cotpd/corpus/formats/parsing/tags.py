"""Word tags in files: their scheme, and how broken entities are written so that they read back the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from cotpd.core.labels import TagScheme, collect_evidence, detect_scheme, names_several_types, to_tags
from cotpd.core.records import Example
from cotpd.corpus.formats.parsing.reading import Reading
from cotpd.corpus.formats.parsing.writing import unwritable


def resolve_scheme(
    sequences: Iterable[Sequence[str]], path: Path, reading: Reading, *, detects_iob1: bool = True
) -> TagScheme | None:
    """Return the tag scheme of a file: the one that ``reading`` names, or the detected one.

    IOB1 and mixtures of schemes are reported. Without ``detects_iob1``, what looks like IOB1 is read as BIO.
    """
    if reading.scheme:
        return reading.scheme
    evidence = collect_evidence(sequences)
    if evidence.has_stray_ends:
        total = evidence.num_ended + evidence.num_open
        counts = f"{evidence.num_ended:,} of {total:,} entities end with an E-, S-, L- or U- tag"
        reading.warn("tag-scheme", str(path), f"read the tags as {evidence.scheme} because only {counts}")
    if evidence.scheme == "IOB1":
        if not detects_iob1:
            return "BIO"
        counts = f"{evidence.num_inside:,} entities start with I- and {evidence.num_begun:,} with B-"
        reading.warn("tag-scheme", str(path), f"read the tags as IOB1 because {counts}")
    elif evidence.scheme is None and evidence.is_mixed:
        mixture = "E- or S- tags (BIOES) and L- or U- tags (BILOU)"
        reading.warn("tag-scheme", str(path), f"the file mixes {mixture}; each tag is read by its own prefix")
    return evidence.scheme


def lenient_tags(example: Example) -> list[str]:
    """Return BIO tags in which an orphan starts with ``I-``, unless it would then join the entity before it.

    Raises:
        DataError: If a type would read as several tags.
    """
    tags = to_tags(example.entities, len(example.words))
    for entity in example.entities:
        if entity.orphan and not _follows_own_type(tags, entity.span.start):
            tags[entity.span.start] = f"I-{entity.label}"
    for tag in tags:
        if names_several_types(tag):
            raise unwritable(tag[2:], example.id, because="would read as several tags", what="entity type")
    return tags


def count_lost_orphans(examples: Sequence[Example], *, detects_iob1: bool = True) -> int:
    """Count the orphans that `lenient_tags` cannot express: all of them if the reader would detect IOB1."""
    tags = [lenient_tags(example) for example in examples]
    orphans = [
        (row, entity.span.start)
        for row, example in zip(tags, examples, strict=True)
        for entity in example.entities
        if entity.orphan
    ]
    if detects_iob1 and detect_scheme(tags) == "IOB1":
        return len(orphans)
    return sum(_follows_own_type(row, start) for row, start in orphans)


def _follows_own_type(tags: Sequence[str], start: int) -> bool:
    return start > 0 and tags[start - 1][2:] == tags[start][2:]
