"""Units: the parts of one example that a student reads and learns one at a time, such as single pairs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from cotpd.core.records import Example


def split_units(example: Example, parts: Iterable[Example], *, taken: Collection[str] = ()) -> Iterator[Example]:
    """Yield the parts of an example with ids of their own, as parts of its post.

    A single part keeps the id of the example. Several parts of ``x`` are ``x#0``, ``x#1`` and so on, or ``x##0`` and so
    on if another example has one of these ids.

    Args:
        example: The example that was divided.
        parts: Copies of the example, with one annotation each.
        taken: The ids of all other examples.
    """
    units = tuple(parts)
    separator = "#"
    while any(f"{example.id}{separator}{number}" in taken for number in range(len(units))):
        separator += "#"
    for number, unit in enumerate(units):
        unit_id = example.id if len(units) == 1 else f"{example.id}{separator}{number}"
        yield replace(unit, id=unit_id, part_of=example.post_id)
