"""Tags as files give and take them: their scheme, told or detected, and broken entities kept as they were."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from cotpd.core.labels import TagScheme, detect_scheme, scheme_signs, to_tags
from cotpd.core.records import Example
from cotpd.corpus.formats.parsing.reading import Reading


def told_scheme(
    sequences: Iterable[Sequence[str]], path: Path, reading: Reading, *, detects_iob1: bool = True
) -> TagScheme | None:
    """The scheme of a file's tags: as ``reading`` tells, else as they look. IOB1 and mixtures are reported."""
    if reading.scheme:
        return reading.scheme
    signs = scheme_signs(sequences)
    if signs.scheme == "IOB1":
        if not detects_iob1:
            return "BIO"
        begins = f"{signs.num_inside:,} entities begin with an I-, {signs.num_begun:,} with a B-"
        reading.warn("tag-scheme", str(path), f"the tags look like IOB1 and are read so: {begins}")
    elif signs.is_mixed:
        mixture = "E- or S- (BIOES) beside L- or U- (BILOU)"
        reading.warn("tag-scheme", str(path), f"a mixture of schemes, {mixture}; each tag is read by its letter")
    return signs.scheme


def lenient_tags(example: Example) -> list[str]:
    """BIO tags, an orphan's first one being an ``I-``, but behind its own type, where that would join the two."""
    tags = to_tags(example.entities, len(example.words))
    for entity in example.entities:
        if entity.orphan and not _touches_own_type(tags, entity.span.start):
            tags[entity.span.start] = f"I-{entity.label}"
    return tags


def count_lost_orphans(examples: Sequence[Example], *, detects_iob1: bool = True) -> int:
    """How many orphans `lenient_tags` do not tell: those behind their own type, or all where the reader sees IOB1."""
    tags = [lenient_tags(example) for example in examples]
    orphans = [
        (row, entity.span.start)
        for row, x in zip(tags, examples, strict=True)
        for entity in x.entities
        if entity.orphan
    ]
    if detects_iob1 and detect_scheme(tags) == "IOB1":
        return len(orphans)
    return sum(_touches_own_type(row, start) for row, start in orphans)


def _touches_own_type(tags: Sequence[str], start: int) -> bool:
    return start > 0 and tags[start - 1][2:] == tags[start][2:]
