"""The format of GLiNER: a JSON array of ``{tokenized_text, ner: [[first word, last word, label], …]}``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, StrictInt, StrictStr

from cotpd.core.files import write_atomic
from cotpd.core.records import Entity, Example
from cotpd.corpus.formats.json_values import json_values
from cotpd.corpus.formats.row import Reading, Row
from cotpd.corpus.formats.spans import flat, word_span


def read(path: Path, reading: Reading) -> Iterator[Row]:
    """Read the posts of a file in order, each called ``<file name>:<number>``; JSON lines are read, too.

    Other keys are not kept, and counted. Errors reported: a value that is no such object, a span outside its post (both
    left out), an empty word. Of entities that overlap the longest is kept.
    """
    not_kept: Counter[str] = Counter()
    for number, (where, value) in enumerate(json_values(path, reading), 1):
        if (post := reading.fitting(value, where, _Post)) is None:
            continue
        not_kept.update((post.model_extra or {}).keys())
        words = tuple(post.tokenized_text)
        reading.check_row_words(words, where)
        found = [(word_span(first, last + 1, len(words), where, reading), label) for first, last, label in post.ner]
        entities = flat((Entity(span, label) for span, label in found if span), where, reading)
        if words:
            yield Row(Example(f"{path.stem}:{number}", words, entities), where)
        else:
            reading.warn("empty-post", where, "a post without words; it is left out")
    reading.not_kept(path, not_kept)


def write(path: Path, examples: Iterable[Example]) -> Counter[str]:
    """Write words and entities; returns how many values the format cannot hold."""
    losses: Counter[str] = Counter()
    rows = []
    for number, example in enumerate(examples, 1):
        ner = [[entity.span.start, entity.span.end - 1, entity.label] for entity in example.entities]
        rows.append(json.dumps({"tokenized_text": list(example.words), "ner": ner}, ensure_ascii=False))
        losses["orphans"] += sum(entity.orphan for entity in example.entities)
        losses["relations"] += len(example.relations)
        losses["images"] += example.image_id is not None
        losses["ids"] += example.id != f"{path.stem}:{number}"
    write_atomic(path, "[\n" + ",\n".join(rows) + "\n]\n")
    return +losses


class _Post(BaseModel):
    model_config = ConfigDict(extra="allow")

    tokenized_text: list[StrictStr]
    ner: list[tuple[StrictInt, StrictInt, StrictStr]] = []
