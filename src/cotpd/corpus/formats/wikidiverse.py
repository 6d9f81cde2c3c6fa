"""The format of WikiDiverse: a JSON array of ``[sentence, image, topic, [[mention, type, start, end, link], …]]``.

Offsets count the characters of the sentence (code points), the end exclusive.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from cotpd.core.files import write_atomic
from cotpd.core.records import Entity, Example
from cotpd.corpus.formats.json_values import json_values
from cotpd.corpus.formats.offsets import Mention, characters, place, visible
from cotpd.corpus.formats.row import Reading, Row
from cotpd.corpus.formats.spans import flat


def read(path: Path, reading: Reading) -> Iterator[Row]:
    """Read the posts of a file in order, each called ``<file name>:<number>``; the image is its id.

    Topics and links are not kept, and counted. Errors reported: a value that is no such array (left out), offsets at
    which the mention does not stand (left out). Of entities that overlap the longest is kept.
    """
    not_kept: Counter[str] = Counter()
    for number, (where, value) in enumerate(json_values(path, reading), 1):
        if not isinstance(value, list) or len(value) != len(_POST):
            found = f"an array of {len(value)}" if isinstance(value, list) else type(value).__name__
            reading.fail("bad-row", where, f"[{', '.join(_POST)}] is expected, found {found}; see docs/corpora.md")
            continue
        if (post := reading.fitting(_named(value, _POST), where, _Post)) is None:
            continue
        not_kept["topics"] += bool(post.topic)
        not_kept["links"] += sum(bool(mention.link) for mention in post.mentions)
        words, entities = _content(post, where, reading)
        if words:
            yield Row(Example(f"{path.stem}:{number}", words, entities, image_id=post.image or None), where)
        else:
            reading.warn("empty-post", where, "a post without words; it is left out")
    reading.not_kept(path, not_kept)


def write(path: Path, examples: Iterable[Example]) -> Counter[str]:
    """Write a file without topics and links; returns how many values the format cannot hold."""
    losses: Counter[str] = Counter()
    rows = []
    for number, given in enumerate(examples, 1):
        losses["relations"] += len(given.relations)
        example = visible(replace(given, relations=()), losses)
        mentions = [_to_mention(example, entity) for entity in example.entities]
        rows.append(json.dumps([example.text, example.image_id or "", "", mentions], ensure_ascii=False))
        losses["ids"] += example.id != f"{path.stem}:{number}"
    write_atomic(path, "[\n" + ",\n".join(rows) + "\n]\n")
    return +losses


class _Mention(BaseModel):
    model_config = ConfigDict(strict=True)

    mention: str
    type: str
    start: int
    end: int
    link: str | None = None


class _Post(BaseModel):
    model_config = ConfigDict(strict=True)

    sentence: str
    image: str | None
    topic: str | None
    mentions: list[_Mention]


_POST = ("sentence", "image", "topic", "mentions")
_MENTION = ("mention", "type", "start", "end", "link")


def _named(value: Any, names: tuple[str, ...]) -> Any:
    """The members of an array by name; what is none goes on as it is, to be refused."""
    if not isinstance(value, list) or len(value) > len(names):
        return value
    row = dict(zip(names, value, strict=False))
    if isinstance(mentions := row.get("mentions"), list):
        row["mentions"] = [_named(mention, _MENTION) for mention in mentions]
    return row


def _content(post: _Post, where: str, reading: Reading) -> tuple[tuple[str, ...], tuple[Entity, ...]]:
    mentions = [Mention(found.start, found.end, where, found.mention) for found in post.mentions]
    words, spans = place(post.sentence, mentions, reading)
    reading.check_row_words(words, where)
    found = zip(spans, post.mentions, strict=True)
    return words, flat((Entity(span, mention.type) for span, mention in found if span), where, reading)


def _to_mention(example: Example, entity: Entity) -> list[Any]:
    return [example.words_of(entity.span), entity.label, *characters(example, entity.span), ""]
