"""TACRED format: a JSON array of ``{id, token, subj_start, subj_end, obj_start, obj_end, relation, …}``.

Each value is one pair. Offsets count words, and the ends are inclusive. ``no_relation`` is our `NO_RELATION`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import ConfigDict

from cotpd.core.records import NO_RELATION, Entity, Example, Relation, Span
from cotpd.corpus.formats.parsing.json_values import json_models
from cotpd.corpus.formats.parsing.reading import Id, ParsedExample, Reading, StrictRow, make_ids_unique
from cotpd.corpus.formats.parsing.spans import check_span, resolve_overlaps
from cotpd.corpus.formats.parsing.writing import count_losses, write_json_array

_NONE = "no_relation"


def read(path: Path, reading: Reading) -> Iterator[ParsedExample]:
    """Read the pairs of a file, each as an example with one relation. Arguments with a type become entities.

    A pair without an id is called ``<file name>:<number>``. Other keys (parts of speech, heads, …) are ignored and
    counted. These are errors: a value of another shape, a span outside the post (both skipped), and an empty word.
    """
    return make_ids_unique(_rows(path, reading), reading)


def write(path: Path, examples: Iterable[Example]) -> Counter[str]:
    """Write one object per relation. Return the number of values that are lost, by kind.

    Posts without a relation cannot be written. A post with several relations is read back as several examples
    (``grouped relations``), the second of ``x`` with the id ``x#2``. Only entities that are arguments are written.
    ``labels`` counts relations with the label ``no_relation``, which is read back as `NO_RELATION`.
    """
    losses: Counter[str] = Counter()
    rows = []
    for example in examples:
        rows += [_to_row(example, relation, number) for number, relation in enumerate(example.relations, 1)]
        arguments = {span for relation in example.relations for span in (relation.head, relation.tail)}
        count_losses(losses, example, "orphans", "images")
        losses["entities"] += sum(entity.span not in arguments for entity in example.entities)
        losses["posts without relation"] += not example.relations
        losses["grouped relations"] += max(0, len(example.relations) - 1)
        losses["labels"] += sum(relation.label == _NONE for relation in example.relations)
    write_json_array(path, rows)
    return +losses


class _TacredPair(StrictRow):
    model_config = ConfigDict(extra="allow")

    id: Id | None = None
    token: list[str]
    relation: str
    subj_start: int
    subj_end: int
    obj_start: int
    obj_end: int
    subj_type: str | None = None
    obj_type: str | None = None


def _rows(path: Path, reading: Reading) -> Iterator[ParsedExample]:
    ignored: Counter[str] = Counter()
    for number, where, pair in json_models(path, reading, _TacredPair):
        ignored.update((pair.model_extra or {}).keys())
        reading.check_row_words(pair.token, where)
        head = check_span(pair.subj_start, pair.subj_end + 1, len(pair.token), where, reading)
        tail = check_span(pair.obj_start, pair.obj_end + 1, len(pair.token), where, reading)
        if head is not None and tail is not None and reading.check_label(pair.relation, where):
            name = f"{path.stem}:{number}" if pair.id is None else pair.id
            yield ParsedExample(_example(pair, name, (head, tail), where, reading), where)
    reading.report_ignored(path, ignored)


def _example(pair: _TacredPair, name: str, spans: tuple[Span, Span], where: str, reading: Reading) -> Example:
    typed = [Entity(span, type_) for span, type_ in zip(spans, (pair.subj_type, pair.obj_type), strict=True) if type_]
    label = NO_RELATION if pair.relation == _NONE else pair.relation
    entities = resolve_overlaps(typed, where, reading)
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
