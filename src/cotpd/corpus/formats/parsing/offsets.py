"""Conversion between character offsets and word spans, for formats that annotate running text."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import attrgetter

from cotpd.core.records import Example, Span
from cotpd.core.splitting import Rule, Word, rule_of_text, split_words
from cotpd.corpus.defects import quote
from cotpd.corpus.formats.parsing.reading import Reading, Splitting
from cotpd.corpus.formats.parsing.writing import count_losses

_BETWEEN_SPACES = re.compile(r"[^ \t\n\r]+")


@dataclass(frozen=True, slots=True)
class TextMention:
    """An annotated range of characters.

    Attributes:
        start: The first character, in code points.
        end: The end, exclusive.
        where: The place of the annotation, as ``file:line``.
        text: The text that the annotation claims to cover. None if it does not say.
    """

    start: int
    end: int
    where: str
    text: str | None = None


def locate_mentions(
    text: str, mentions: Sequence[TextMention], reading: Reading, *, from_browser: bool = False
) -> tuple[tuple[str, ...], list[Span | None]]:
    """Split a text into words and convert mentions to spans of words.

    A word in which a mention starts or ends is split there, with a warning, so that the mention is kept exactly. These
    are errors: offsets outside the text, a mention whose text differs (ignoring case and white space), and a mention
    of white space only.

    Offsets in UTF-16 units, as browsers count, are converted and reported if only then the mentions fit the text. Only
    with ``from_browser`` this is also tried for mentions that claim a text.

    Returns:
        The words, and the span of each mention or None after an error.
    """
    whole = split_text(text, reading.splitting)
    if from_browser or all(mention.text is None for mention in mentions):
        mentions = _in_code_points(text, mentions, whole, reading)
    valid = [_check_mention(text, mention, reading) for mention in mentions]
    borders = {border for mention, ok in zip(mentions, valid, strict=True) if ok for border in _borders(mention)}
    words = list(_split_at(whole, borders))
    for mention, ok in zip(mentions, valid, strict=True):
        if ok:
            _report_cuts(whole, mention, reading)
    spans = [_to_span(words, mention, reading) if ok else None for mention, ok in zip(mentions, valid, strict=True)]
    return tuple(word.text for word in words), spans


def split_text(text: str, splitting: Splitting | None) -> list[Word]:
    """Split running text into words with the chosen rule, by default with that of `rule_of_text`."""
    if splitting == "spaces":
        return [Word(match[0], *match.span()) for match in _BETWEEN_SPACES.finditer(text)]
    return split_words(text, Rule(splitting) if splitting else rule_of_text(text))


def counts_utf16(text: str, mentions: Sequence[TextMention], words: Sequence[Word]) -> bool:
    """Return True if all mentions fit the text only if their offsets count UTF-16 units, as browsers do.

    A mention fits if it covers the text that it claims, or if it claims none, if it begins and ends at words.
    """
    if text.isascii() or max(text, default="") <= "\uffff" or all(_fits(text, mention, words) for mention in mentions):
        return False
    return all(_fits(text, _from_units(text, mention), words) for mention in mentions)


def from_utf16(text: str, units: int) -> int:
    """Convert an offset in UTF-16 units to one in code points. Offsets outside the text stay outside."""
    encoded = text.encode("utf-16-le", "surrogatepass")
    if not 0 <= units <= len(encoded) // 2:
        return -1 if units < 0 else len(text) + units
    return len(encoded[: 2 * units].decode("utf-16-le", "replace"))


def words_within(words: Sequence[Word], start: int, end: int) -> Span | None:
    """Return the words that lie completely within the characters ``[start, end)``; None if there are none."""
    first = bisect_left(words, start, key=attrgetter("start"))
    last = bisect_right(words, end, key=attrgetter("end"))
    return Span(first, last) if first < last else None


def words_touched(words: Sequence[Word], start: int, end: int) -> Span | None:
    """Return the words that lie at least partly within the characters ``[start, end)``; None if there are none."""
    first = bisect_right(words, start, key=attrgetter("end"))
    last = bisect_left(words, end, key=attrgetter("start"))
    return Span(first, last) if first < last else None


def character_offsets(example: Example, span: Span) -> tuple[int, int]:
    """Return the characters ``[start, end)`` of a span in the text of its example."""
    start = sum(len(word) + 1 for word in example.words[: span.start])
    return start, start + len(example.words_of(span))


def fit_to_running_text(example: Example, losses: Counter[str]) -> Example:
    """Return the part of an example that running text can hold, and count what it cannot.

    Entities and relations of white space only are removed and counted. Orphans are counted because offsets do not
    express them. ``words`` counts examples that are split into other words when they are read back.
    """
    visible = {span for span in collect_spans(example) if example.words_of(span).strip()}
    entities = tuple(entity for entity in example.entities if entity.span in visible)
    relations = tuple(relation for relation in example.relations if {relation.head, relation.tail} <= visible)
    losses["entities"] += len(example.entities) - len(entities)
    losses["relations"] += len(example.relations) - len(relations)
    example = replace(example, entities=entities, relations=relations)
    count_losses(losses, example, "orphans")
    borders = {border for span in collect_spans(example) for border in character_offsets(example, span)}
    words = tuple(word.text for word in _split_at(split_text(example.text, None), borders))
    losses["words"] += words != example.words
    return example


def collect_spans(example: Example) -> list[Span]:
    """Return the distinct spans of an example: those of its entities, then those of its relations."""
    arguments = [span for relation in example.relations for span in (relation.head, relation.tail)]
    return list(dict.fromkeys([*(entity.span for entity in example.entities), *arguments]))


def _in_code_points(
    text: str, mentions: Sequence[TextMention], words: Sequence[Word], reading: Reading
) -> Sequence[TextMention]:
    """Convert mentions whose offsets count UTF-16 units: all of them, or those whose own text shows it."""
    if text.isascii() or max(text, default="") <= "\uffff":
        return mentions
    are_all = counts_utf16(text, mentions, words)
    settled = []
    for mention in mentions:
        converted = _from_units(text, mention)
        shows_it = mention.text is not None and not _fits(text, mention, words) and _fits(text, converted, words)
        if converted != mention and (are_all or shows_it):
            message = f"read the offsets [{mention.start}, {mention.end}) as UTF-16 units because only then do they fit"
            reading.warn("utf16-offsets", mention.where, f"{message} the text")
            mention = converted
        elif converted != mention and mention.text is None and _fits(text, converted, words):
            message = f"nothing confirms the offsets [{mention.start}, {mention.end}); read them as code points"
            reading.warn("unconfirmed-offsets", mention.where, f"{message}, but browsers count emoji as two")
        settled.append(mention)
    return settled


def _from_units(text: str, mention: TextMention) -> TextMention:
    return replace(mention, start=from_utf16(text, mention.start), end=from_utf16(text, mention.end))


def _fits(text: str, mention: TextMention, words: Sequence[Word]) -> bool:
    start, end = mention.start, mention.end
    if not 0 <= start < end <= len(text):
        return False
    if mention.text is not None:
        return _comparable(mention.text) == _comparable(text[start:end])
    touched = words_touched(words, start, end)
    return touched is not None and words[touched.start].start >= start and words[touched.end - 1].end <= end


def _check_mention(text: str, mention: TextMention, reading: Reading) -> bool:
    start, end = mention.start, mention.end
    if not 0 <= start < end <= len(text):
        message = f"invalid character offsets [{start}, {end}) in a text of length {len(text)}; correct them"
        reading.fail("bad-span", mention.where, message)
        return False
    if mention.text is not None and _comparable(mention.text) != _comparable(text[start:end]):
        message = f"characters [{start}, {end}) are {quote(text[start:end])}, but the annotation says "
        reading.fail("mention-differs", mention.where, f"{message}{quote(mention.text)}; correct one of them")
        return False
    return True


def _comparable(text: str) -> str:
    return " ".join(text.split()).casefold()


def _borders(mention: TextMention) -> tuple[int, int]:
    return mention.start, mention.end


def _split_at(words: Iterable[Word], borders: set[int]) -> Iterator[Word]:
    """Split words at the borders within them."""
    edges = sorted(borders)
    for word in words:
        inside = edges[bisect_right(edges, word.start) : bisect_left(edges, word.end)]
        for start, end in pairwise([word.start, *inside, word.end]):
            yield Word(word.text[start - word.start : end - word.start], start, end)


def _report_cuts(words: Sequence[Word], mention: TextMention, reading: Reading) -> None:
    touched = words_touched(words, mention.start, mention.end)
    for word in (words[number] for number in sorted({touched.start, touched.end - 1})) if touched else ():
        if any(word.start < border < word.end for border in _borders(mention)):
            message = f"split the word {quote(word.text)} at the mention [{mention.start}, {mention.end})"
            reading.warn("offsets-cut-word", mention.where, message)


def _to_span(words: Sequence[Word], mention: TextMention, reading: Reading) -> Span | None:
    span = words_within(words, mention.start, mention.end)
    if span is None:
        message = f"characters [{mention.start}, {mention.end}) are white space only; correct the offsets"
        reading.fail("bad-span", mention.where, message)
    return span
