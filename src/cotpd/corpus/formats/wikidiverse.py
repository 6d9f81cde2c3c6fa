"""WikiDiverse format: a JSON array of ``[sentence, image, topic, [[mention, type, start, end, link], …]]``.

Offsets count the characters of the sentence (code points), and the end is exclusive. Files with candidates contain an
array of eleven values per mention instead. There, consecutive mentions of one sentence and image form a post.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from cotpd.core.records import Entity, Example
from cotpd.corpus.formats.parsing.json_values import json_values
from cotpd.corpus.formats.parsing.offsets import (
    TextMention,
    character_offsets,
    fit_to_running_text,
    locate_mentions,
)
from cotpd.corpus.formats.parsing.reading import ParsedExample, Reading, StrictRow
from cotpd.corpus.formats.parsing.spans import resolve_overlaps
from cotpd.corpus.formats.parsing.writing import count_losses, write_json_array


def read(path: Path, reading: Reading) -> Iterator[ParsedExample]:
    """Read the posts of a file in order, with ids ``<file name>:<number>``.

    Topics, links and candidates are ignored and counted. Of overlapping entities the longest is kept. These are errors:
    a value of another shape, and offsets that do not fit the mention (both skipped).
    """
    ignored: Counter[str] = Counter()
    for number, (where, post) in enumerate(_joined(_posts(path, reading)), 1):
        if post is None:
            continue
        ignored["topics"] += bool(post.topic)
        ignored["links"] += sum(bool(mention.link) for mention in post.mentions)
        ignored["candidates"] += post.num_candidates
        words, entities = _content(post, where, reading)
        if reading.check_not_empty(words, where):
            yield ParsedExample(Example(f"{path.stem}:{number}", words, entities, image_id=post.image or None), where)
    reading.report_ignored(path, ignored)


def write(path: Path, examples: Iterable[Example]) -> Counter[str]:
    """Write a file without topics and links. Return the number of values that are lost, by kind."""
    losses: Counter[str] = Counter()
    rows = []
    for number, original in enumerate(examples, 1):
        count_losses(losses, original, "relations", id_read=f"{path.stem}:{number}")
        example = fit_to_running_text(replace(original, relations=()), losses)
        mentions = [_to_mention(example, entity) for entity in example.entities]
        rows.append([example.text, example.image_id or "", "", mentions])
    write_json_array(path, rows)
    return +losses


class _WikiMention(StrictRow):
    mention: str
    type: str
    start: int
    end: int
    link: str | None = None


class _WikiPost(StrictRow):
    sentence: str
    image: str | None
    topic: str | None
    mentions: list[_WikiMention]
    is_single: bool = False
    num_candidates: int = 0

    def continues(self, other: _WikiPost) -> bool:
        """Return True if both are single mentions of the same post."""
        return self.is_single and other.is_single and (self.sentence, self.image) == (other.sentence, other.image)


_POST = ("sentence", "image", "topic", "mentions")
_MENTION = ("mention", "type", "start", "end", "link")
_SINGLE = ("sentence", "image", "mention", "type", "left", "right", "link", "candidates", "topic", "start", "end")


def _posts(path: Path, reading: Reading) -> Iterator[tuple[str, _WikiPost | None]]:
    """Yield each value with its place. A value of another shape is reported and becomes None."""
    for where, value in json_values(path, reading):
        if isinstance(value, list) and len(value) in (len(_POST), len(_SINGLE)):
            values = _with_keys(value, _POST) if len(value) == len(_POST) else _single(value)
            yield where, reading.validate(values, where, _WikiPost)
            continue
        found = f"an array of {len(value)} values" if isinstance(value, list) else type(value).__name__
        message = f"expected [{', '.join(_POST)}], got {found}; correct this row to match the format"
        reading.fail("bad-row", where, message)
        yield where, None


def _joined(posts: Iterable[tuple[str, _WikiPost | None]]) -> Iterator[tuple[str, _WikiPost | None]]:
    """Merge consecutive single mentions of one post into that post."""
    pending: tuple[str, _WikiPost | None] | None = None
    for where, post in posts:
        before = pending[1] if pending else None
        if before and post and post.continues(before):
            before.mentions += post.mentions
            before.num_candidates += post.num_candidates
            continue
        if pending:
            yield pending
        pending = (where, post)
    if pending:
        yield pending


def _single(value: list[Any]) -> dict[str, Any]:
    """Convert the eleven values of a file with candidates to a post with one mention."""
    row = dict(zip(_SINGLE, value, strict=True))
    candidates = row["candidates"] if isinstance(row["candidates"], list) else []
    post = {name: row[name] for name in ("sentence", "image", "topic")}
    mention = {name: row[name] for name in _MENTION}
    return {**post, "mentions": [mention], "is_single": True, "num_candidates": len(candidates)}


def _with_keys(value: Any, names: tuple[str, ...]) -> Any:
    """Convert an array to a dict. Other values are returned unchanged, so that validation reports them."""
    if not isinstance(value, list) or len(value) > len(names):
        return value
    row = dict(zip(names, value, strict=False))
    if isinstance(mentions := row.get("mentions"), list):
        row["mentions"] = [_with_keys(mention, _MENTION) for mention in mentions]
    return row


def _content(post: _WikiPost, where: str, reading: Reading) -> tuple[tuple[str, ...], tuple[Entity, ...]]:
    mentions = [TextMention(mention.start, mention.end, where, mention.mention) for mention in post.mentions]
    words, spans = locate_mentions(post.sentence, mentions, reading)
    reading.check_row_words(words, where)
    entities = (Entity(span, mention.type) for span, mention in zip(spans, post.mentions, strict=True) if span)
    return words, resolve_overlaps(entities, where, reading)


def _to_mention(example: Example, entity: Entity) -> list[Any]:
    return [example.words_of(entity.span), entity.label, *character_offsets(example, entity.span), ""]
