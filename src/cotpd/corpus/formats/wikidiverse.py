"""The format of WikiDiverse: a JSON array of ``[sentence, image, topic, [[mention, type, start, end, link], …]]``.

Offsets count the characters of the sentence (code points), the end exclusive. The files with candidates hold an array
of eleven values for each mention instead; those of one sentence and image that stand together are a post.
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
from cotpd.corpus.formats.parsing.json_values import json_values
from cotpd.corpus.formats.parsing.offsets import Mention, characters, place, visible
from cotpd.corpus.formats.parsing.reading import Reading, Row
from cotpd.corpus.formats.parsing.spans import flat


def read(path: Path, reading: Reading) -> Iterator[Row]:
    """Read the posts of a file in order, each called ``<file name>:<number>``; the image is its id.

    Topics, links and candidates are not kept, and counted. Errors reported: a value that is no such array (left out),
    offsets at which the mention does not stand (left out). Of entities that overlap the longest is kept.
    """
    not_kept: Counter[str] = Counter()
    for number, (where, post) in enumerate(_joined(_posts(path, reading)), 1):
        if post is None:
            continue
        not_kept["topics"] += bool(post.topic)
        not_kept["links"] += sum(bool(mention.link) for mention in post.mentions)
        not_kept["candidates"] += post.num_candidates
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
    is_single: bool = False
    num_candidates: int = 0

    def continues(self, other: _Post) -> bool:
        """Whether both are single mentions of one post."""
        return self.is_single and other.is_single and (self.sentence, self.image) == (other.sentence, other.image)


_POST = ("sentence", "image", "topic", "mentions")
_MENTION = ("mention", "type", "start", "end", "link")
_SINGLE = ("sentence", "image", "mention", "type", "left", "right", "link", "candidates", "topic", "start", "end")


def _posts(path: Path, reading: Reading) -> Iterator[tuple[str, _Post | None]]:
    """Every value with its place; None, and a report, for what is no post."""
    for where, value in json_values(path, reading):
        if isinstance(value, list) and len(value) in (len(_POST), len(_SINGLE)):
            yield (
                where,
                reading.fitting(_named(value, _POST) if len(value) == len(_POST) else _single(value), where, _Post),
            )
            continue
        found = f"an array of {len(value)}" if isinstance(value, list) else type(value).__name__
        reading.fail("bad-row", where, f"[{', '.join(_POST)}] is expected, found {found}; see docs/corpora.md")
        yield where, None


def _joined(posts: Iterable[tuple[str, _Post | None]]) -> Iterator[tuple[str, _Post | None]]:
    """The posts, with the single mentions of one post that stand together as that post."""
    begun: tuple[str, _Post | None] | None = None
    for where, post in posts:
        before = begun[1] if begun else None
        if before and post and post.continues(before):
            before.mentions += post.mentions
            before.num_candidates += post.num_candidates
            continue
        if begun:
            yield begun
        begun = (where, post)
    if begun:
        yield begun


def _single(value: list[Any]) -> dict[str, Any]:
    """A post of one mention, from the eleven values of a file with candidates."""
    row = dict(zip(_SINGLE, value, strict=True))
    candidates = row["candidates"] if isinstance(row["candidates"], list) else []
    post = {name: row[name] for name in ("sentence", "image", "topic")}
    mention = {name: row[name] for name in _MENTION}
    return {**post, "mentions": [mention], "is_single": True, "num_candidates": len(candidates)}


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
