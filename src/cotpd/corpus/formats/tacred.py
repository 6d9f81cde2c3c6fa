"""The format of TACRED: a JSON array of ``{id, token, subj_start, subj_end, obj_start, obj_end, relation, …}``.

Each value is one pair; offsets count words and their ends are inclusive. ``no_relation`` is our `NO_RELATION`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from cotpd.core.files import write_atomic
from cotpd.core.records import NO_RELATION, Entity, Example, Relation, Span
from cotpd.corpus.formats.parsing.json_values import json_values
from cotpd.corpus.formats.parsing.reading import Id, Reading, Row, distinct_ids
from cotpd.corpus.formats.parsing.spans import flat, word_span

_NONE = "no_relation"


def read(path: Path, reading: Reading) -> Iterator[Row]:
    """Read the pairs of a file in order, each as an example with one relation; typed arguments are its entities.

    A pair without id is called ``<file name>:<number>``. Other keys (parts of speech, heads…) are not kept, and
    counted. Errors reported: a value that is no such object, a span outside its post (both left out), an empty word.
    """
    return distinct_ids(_rows(path, reading), reading)


def write(path: Path, examples: Iterable[Example]) -> Counter[str]:
    """Write an object for each relation; returns how many values the format cannot hold.

    Posts without relation cannot be held; those with several come back as several (``grouped relations``), the second
    of ``x`` as ``x#2``. Entities are held where they are an argument. ``labels``: a ``no_relation`` comes back as ours.
    """
    losses: Counter[str] = Counter()
    rows = []
    for example in examples:
        rows += [_to_row(example, relation, number) for number, relation in enumerate(example.relations, 1)]
        arguments = {span for relation in example.relations for span in (relation.head, relation.tail)}
        losses["entities"] += sum(entity.span not in arguments for entity in example.entities)
        losses["orphans"] += sum(entity.orphan for entity in example.entities)
        losses["images"] += example.image_id is not None
        losses["posts without relation"] += not example.relations
        losses["grouped relations"] += max(0, len(example.relations) - 1)
        losses["labels"] += sum(relation.label == _NONE for relation in example.relations)
    write_atomic(path, "[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n")
    return +losses


class _Pair(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")

    id: Id | None = None
    token: list[str]
    relation: str
    subj_start: int
    subj_end: int
    obj_start: int
    obj_end: int
    subj_type: str | None = None
    obj_type: str | None = None


def _rows(path: Path, reading: Reading) -> Iterator[Row]:
    not_kept: Counter[str] = Counter()
    for number, (where, value) in enumerate(json_values(path, reading), 1):
        if (pair := reading.fitting(value, where, _Pair)) is None:
            continue
        not_kept.update((pair.model_extra or {}).keys())
        reading.check_row_words(pair.token, where)
        head = word_span(pair.subj_start, pair.subj_end + 1, len(pair.token), where, reading)
        tail = word_span(pair.obj_start, pair.obj_end + 1, len(pair.token), where, reading)
        if head is not None and tail is not None and reading.has_label(pair.relation, where):
            name = f"{path.stem}:{number}" if pair.id is None else pair.id
            yield Row(_example(pair, name, (head, tail), where, reading), where)
    reading.not_kept(path, not_kept)


def _example(pair: _Pair, name: str, spans: tuple[Span, Span], where: str, reading: Reading) -> Example:
    typed = [Entity(span, type_) for span, type_ in zip(spans, (pair.subj_type, pair.obj_type), strict=True) if type_]
    label = NO_RELATION if pair.relation == _NONE else pair.relation
    entities = flat(typed, where, reading)
    return Example(name, tuple(pair.token), entities, (Relation(*spans, label),))


def _to_row(example: Example, relation: Relation, number: int) -> dict[str, Any]:
    types = {entity.span: entity.label for entity in example.entities}
    row = {
        "id": example.id if number == 1 else f"{example.id}#{number}",
        "token": list(example.words),
        "subj_start": relation.head.start,
        "subj_end": relation.head.end - 1,
        "subj_type": types.get(relation.head),
        "obj_start": relation.tail.start,
        "obj_end": relation.tail.end - 1,
        "obj_type": types.get(relation.tail),
        "relation": _NONE if relation.label == NO_RELATION else relation.label,
    }
    return {key: value for key, value in row.items() if value is not None}
