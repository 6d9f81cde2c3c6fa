"""The format of GLiNER: a JSON array of ``{tokenized_text, ner: [[first, last, label], …], relations: […]}``.

Offsets count words, the last one inclusive. A relation is ``[head, tail, label]``, its arguments numbers of ``ner``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, StrictInt, StrictStr

from cotpd.core.files import write_atomic
from cotpd.core.records import Entity, Example, Relation, Span
from cotpd.corpus.formats.parsing.json_values import json_values
from cotpd.corpus.formats.parsing.reading import Reading, Row
from cotpd.corpus.formats.parsing.spans import flat, word_span


def read(path: Path, reading: Reading) -> Iterator[Row]:
    """Read the posts of a file in order, each called ``<file name>:<number>``; JSON lines are read, too.

    Other keys (labels to train against…) are not kept, and counted. Errors reported: a value that is no such object, a
    span outside its post, a relation of an entity that is not there, a blank label (all left out), an empty word. Of
    entities that overlap the longest is kept.
    """
    not_kept: Counter[str] = Counter()
    for number, (where, value) in enumerate(json_values(path, reading), 1):
        if (post := reading.fitting(value, where, _Post)) is None:
            continue
        not_kept.update((post.model_extra or {}).keys())
        words = tuple(post.tokenized_text)
        reading.check_row_words(words, where)
        spans = [word_span(first, last + 1, len(words), where, reading) for first, last, _ in post.ner]
        found = zip(spans, post.ner, strict=True)
        entities = flat((Entity(span, label) for span, (_, _, label) in found if span), where, reading)
        if words:
            relations = tuple(_relations(post, spans, where, reading))
            yield Row(Example(f"{path.stem}:{number}", words, entities, relations), where)
        else:
            reading.warn("empty-post", where, "a post without words; it is left out")
    reading.not_kept(path, not_kept)


def write(path: Path, examples: Iterable[Example]) -> Counter[str]:
    """Write words, entities and the relations between these; returns how many values the format cannot hold."""
    losses: Counter[str] = Counter()
    rows = []
    for number, example in enumerate(examples, 1):
        ner = [[entity.span.start, entity.span.end - 1, entity.label] for entity in example.entities]
        place = {entity.span: number for number, entity in enumerate(example.entities)}
        held = [r for r in example.relations if r.head in place and r.tail in place]
        row: dict[str, Any] = {"tokenized_text": list(example.words), "ner": ner}
        if held:
            row["relations"] = [[place[relation.head], place[relation.tail], relation.label] for relation in held]
        rows.append(json.dumps(row, ensure_ascii=False))
        losses["orphans"] += sum(entity.orphan for entity in example.entities)
        losses["relations"] += len(example.relations) - len(held)
        losses["images"] += example.image_id is not None
        losses["ids"] += example.id != f"{path.stem}:{number}"
    write_atomic(path, "[\n" + ",\n".join(rows) + "\n]\n")
    return +losses


class _Post(BaseModel):
    model_config = ConfigDict(extra="allow")

    tokenized_text: list[StrictStr]
    ner: list[tuple[StrictInt, StrictInt, StrictStr]] = []
    relations: list[tuple[StrictInt, StrictInt, StrictStr]] = []


def _relations(post: _Post, spans: Sequence[Span | None], where: str, reading: Reading) -> Iterator[Relation]:
    for head, tail, label in post.relations:
        if not (0 <= head < len(spans) and 0 <= tail < len(spans)):
            reading.fail("bad-span", where, f"a relation from {head} to {tail} of {len(spans)} entities, from 0")
        elif (first := spans[head]) and (second := spans[tail]) and reading.has_label(label, where):
            yield Relation(first, second, label)
