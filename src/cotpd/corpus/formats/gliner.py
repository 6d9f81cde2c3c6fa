"""GLiNER format: a JSON array of ``{tokenized_text, ner: [[first, last, label], …], relations: […]}``.

Offsets count words, and the last word is inclusive. A relation is ``[head, tail, label]``, where head and tail are
indices into ``ner``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, StrictInt, StrictStr

from cotpd.core.records import Entity, Example, Relation, Span
from cotpd.corpus.formats.parsing.json_values import json_models
from cotpd.corpus.formats.parsing.reading import ParsedExample, Reading
from cotpd.corpus.formats.parsing.spans import check_span, resolve_overlaps
from cotpd.corpus.formats.parsing.writing import count_losses, write_json_array


def read(path: Path, reading: Reading) -> Iterator[ParsedExample]:
    """Read the posts of a JSON array or of JSON lines, with ids ``<file name>:<number>``.

    Other keys are ignored and counted. Of overlapping entities the longest is kept. These are errors: a value of
    another shape, a span outside the post, a relation of an entity that does not exist, a blank label (all skipped),
    and an empty word.
    """
    ignored: Counter[str] = Counter()
    for number, where, post in json_models(path, reading, _GlinerPost):
        ignored.update((post.model_extra or {}).keys())
        words = tuple(post.tokenized_text)
        reading.check_row_words(words, where)
        spans = [check_span(first, last + 1, len(words), where, reading) for first, last, _ in post.ner]
        labelled = zip(spans, post.ner, strict=True)
        entities = resolve_overlaps((Entity(span, label) for span, (_, _, label) in labelled if span), where, reading)
        if reading.check_not_empty(words, where):
            relations = tuple(_relations(post, spans, where, reading))
            yield ParsedExample(Example(f"{path.stem}:{number}", words, entities, relations), where)
    reading.report_ignored(path, ignored)


def write(path: Path, examples: Iterable[Example]) -> Counter[str]:
    """Write words, entities and the relations between entities. Return the number of values that are lost, by kind."""
    losses: Counter[str] = Counter()
    rows = []
    for number, example in enumerate(examples, 1):
        ner = [[entity.span.start, entity.span.end - 1, entity.label] for entity in example.entities]
        index = {entity.span: position for position, entity in enumerate(example.entities)}
        writable = [r for r in example.relations if r.head in index and r.tail in index]
        row: dict[str, Any] = {"tokenized_text": list(example.words), "ner": ner}
        if writable:
            row["relations"] = [[index[relation.head], index[relation.tail], relation.label] for relation in writable]
        rows.append(row)
        count_losses(losses, example, "orphans", "images", id_read=f"{path.stem}:{number}")
        losses["relations"] += len(example.relations) - len(writable)
    write_json_array(path, rows)
    return +losses


class _GlinerPost(BaseModel):
    model_config = ConfigDict(extra="allow")

    tokenized_text: list[StrictStr]
    ner: list[tuple[StrictInt, StrictInt, StrictStr]] = []
    relations: list[tuple[StrictInt, StrictInt, StrictStr]] = []


def _relations(post: _GlinerPost, spans: Sequence[Span | None], where: str, reading: Reading) -> Iterator[Relation]:
    for head, tail, label in post.relations:
        if not (0 <= head < len(spans) and 0 <= tail < len(spans)):
            message = f"a relation refers to `ner` {head} and {tail} (from 0), but the length of `ner` is {len(spans)}"
            reading.fail("bad-span", where, f"{message}; correct the indices")
        elif (first := spans[head]) and (second := spans[tail]) and reading.check_label(label, where):
            yield Relation(first, second, label)
