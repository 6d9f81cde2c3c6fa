"""Mentions by character offsets to spans of words and back, for the formats that mark running text."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import attrgetter

from cotpd.core.records import Example, Span
from cotpd.core.splitting import Rule, Word, split_words
from cotpd.corpus.defects import quoted
from cotpd.corpus.formats.parsing.reading import Reading, Splitting

_BETWEEN_SPACES = re.compile(r"[^ \t\n\r]+")


@dataclass(frozen=True, slots=True)
class Mention:
    """The characters ``[start, end)`` of a text, counted in code points; ``text`` is what should stand there."""

    start: int
    end: int
    where: str
    text: str | None = None


def place(text: str, mentions: Sequence[Mention], reading: Reading) -> tuple[tuple[str, ...], list[Span | None]]:
    """The words of a text and the span of each mention, None where it cannot be (reported).

    A word in which a mention begins or ends is divided there, and reported, so that nothing is lost. Errors reported:
    offsets outside the text, a mention that is not what stands there (but for case and white space) or only space.
    """
    sound = [_is_sound(text, mention, reading) for mention in mentions]
    borders = {border for mention, ok in zip(mentions, sound, strict=True) if ok for border in _borders(mention)}
    whole = split(text, reading.splitting)
    words = list(_divided(whole, borders))
    for mention, ok in zip(mentions, sound, strict=True):
        if ok:
            _report_cuts(whole, mention, reading)
    spans = [_span(words, mention, reading) if ok else None for mention, ok in zip(mentions, sound, strict=True)]
    return tuple(word.text for word in words), spans


def split(text: str, splitting: Splitting) -> list[Word]:
    """The words of a text as the reader was told to find them."""
    if splitting == "spaces":
        return [Word(match[0], *match.span()) for match in _BETWEEN_SPACES.finditer(text)]
    return split_words(text, Rule(splitting))


def words_within(words: Sequence[Word], start: int, end: int) -> Span | None:
    """The words that lie in the characters ``[start, end)`` whole, of words in order; None where none does."""
    first = bisect_left(words, start, key=attrgetter("start"))
    last = bisect_right(words, end, key=attrgetter("end"))
    return Span(first, last) if first < last else None


def words_touched(words: Sequence[Word], start: int, end: int) -> Span | None:
    """The words of which a part lies in the characters ``[start, end)``, of words in order; None where none does."""
    first = bisect_right(words, start, key=attrgetter("end"))
    last = bisect_left(words, end, key=attrgetter("start"))
    return Span(first, last) if first < last else None


def characters(example: Example, span: Span) -> tuple[int, int]:
    """The characters ``[start, end)`` of a span in the text of its example."""
    start = sum(len(word) + 1 for word in example.words[: span.start])
    return start, start + len(example.words_of(span))


def visible(example: Example, losses: Counter[str]) -> Example:
    """The example as running text holds it; what is lost is added to ``losses``.

    ``entities`` and ``relations`` of white space alone are left out. ``orphans`` are not told apart, and ``words``
    are posts that are not split into the same words when they are read.
    """
    seen = {span for span in spans_of(example) if example.words_of(span).strip()}
    entities = tuple(entity for entity in example.entities if entity.span in seen)
    relations = tuple(relation for relation in example.relations if {relation.head, relation.tail} <= seen)
    losses["entities"] += len(example.entities) - len(entities)
    losses["relations"] += len(example.relations) - len(relations)
    example = replace(example, entities=entities, relations=relations)
    losses["orphans"] += sum(entity.orphan for entity in example.entities)
    borders = {border for span in spans_of(example) for border in characters(example, span)}
    words = tuple(word.text for word in _divided(split(example.text, Rule.FINE), borders))
    losses["words"] += words != example.words
    return example


def spans_of(example: Example) -> list[Span]:
    """Every span that an example names, each once: of its entities, then of its relations."""
    arguments = [span for relation in example.relations for span in (relation.head, relation.tail)]
    return list(dict.fromkeys([*(entity.span for entity in example.entities), *arguments]))


def _is_sound(text: str, mention: Mention, reading: Reading) -> bool:
    start, end = mention.start, mention.end
    if not 0 <= start < end <= len(text):
        message = f"the characters [{start}, {end}) do not lie in a text of {len(text)} characters"
        reading.fail("bad-span", mention.where, message)
        return False
    if mention.text is not None and _plain(mention.text) != _plain(text[start:end]):
        message = f"the characters [{start}, {end}) are {quoted(text[start:end])}, not {quoted(mention.text)}"
        reading.fail("mention-differs", mention.where, message)
        return False
    return True


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _borders(mention: Mention) -> tuple[int, int]:
    return mention.start, mention.end


def _divided(words: Iterable[Word], borders: set[int]) -> Iterator[Word]:
    """The words, each cut at the borders inside it."""
    edges = sorted(borders)
    for word in words:
        inside = edges[bisect_right(edges, word.start) : bisect_left(edges, word.end)]
        for start, end in pairwise([word.start, *inside, word.end]):
            yield Word(word.text[start - word.start : end - word.start], start, end)


def _report_cuts(words: Sequence[Word], mention: Mention, reading: Reading) -> None:
    touched = words_touched(words, mention.start, mention.end)
    for word in (words[number] for number in sorted({touched.start, touched.end - 1})) if touched else ():
        if any(word.start < border < word.end for border in _borders(mention)):
            message = f"[{mention.start}, {mention.end}) cuts {quoted(word.text)}; the word is divided there"
            reading.warn("offsets-cut-word", mention.where, message)


def _span(words: Sequence[Word], mention: Mention, reading: Reading) -> Span | None:
    span = words_within(words, mention.start, mention.end)
    if span is None:
        reading.fail("bad-span", mention.where, f"the characters [{mention.start}, {mention.end}) are white space only")
    return span
