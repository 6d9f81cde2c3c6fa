"""Serialisation of an example as a row of our own JSONL format, which `cotpd.corpus.formats.jsonl` reads."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from cotpd.core.records import Entity, Example


def to_row(example: Example, split: str | None = None) -> dict[str, Any]:
    """Return ``{id, words, entities, relations, sentiments, image, split, origin, caption}`` without empty ones.

    Offsets count words. Knowledge is not included because it lives in a sidecar file. A caption is included, so pass
    examples whose captions come from a sidecar file without them.
    """
    row: dict[str, Any] = {
        "id": example.id,
        "words": list(example.words),
        "entities": [_entity_row(entity) for entity in example.entities],
        "relations": [
            {"head": [r.head.start, r.head.end], "tail": [r.tail.start, r.tail.end], "label": r.label}
            for r in example.relations
        ],
        "image": example.image_id,
        "split": split,
    }
    if example.sentiments:
        row["sentiments"] = [
            {"start": each.span.start, "end": each.span.end, "label": each.label} for each in example.sentiments
        ]
    if example.origin:
        row["origin"] = asdict(example.origin)
    if example.caption:
        row["caption"] = {"text": example.caption.text, "captioner": example.caption.captioner}
    return {key: value for key, value in row.items() if value is not None}


def _entity_row(entity: Entity) -> dict[str, Any]:
    row: dict[str, Any] = {"start": entity.span.start, "end": entity.span.end, "label": entity.label}
    return {**row, "orphan": True} if entity.orphan else row
