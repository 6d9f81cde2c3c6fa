"""What all writers share: counting what a format cannot hold, and refusing what would not read back."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from cotpd.core.errors import DataError
from cotpd.core.files import write_atomic
from cotpd.core.records import Example
from cotpd.corpus.defects import quote

Loss = Literal["entities", "orphans", "relations", "images"]


def count_losses(losses: Counter[str], example: Example, *kinds: Loss, id_read: str | None = None) -> None:
    """Add the values of an example that a format cannot hold.

    Args:
        losses: The counts to update.
        example: The example that is written.
        *kinds: What the format cannot hold at all.
        id_read: The id that the example gets when it is read back, if the format does not store ids.
    """
    counts = {
        "entities": len(example.entities),
        "orphans": sum(entity.orphan for entity in example.entities),
        "relations": len(example.relations),
        "images": int(example.image_id is not None),
    }
    losses.update({kind: counts[kind] for kind in kinds})
    losses["ids"] += id_read is not None and example.id != id_read


def unwritable(text: str, example_id: str, *, because: str, what: str = "word") -> DataError:
    """Return the exception for a value that a text format cannot represent."""
    message = f"the {what} {quote(text)} cannot be written in this format because it {because}"
    return DataError(f"{message}; change it or choose another format", where=example_id)


def write_json_array(path: Path, rows: Iterable[Any]) -> None:
    """Write a JSON array atomically, one element per line."""
    write_atomic(path, "[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n")


def protect_first_character(text: str) -> str:
    """Add a byte order mark before an initial U+FEFF, so that readers remove the mark and not the character."""
    return f"\ufeff{text}" if text.startswith("\ufeff") else text
