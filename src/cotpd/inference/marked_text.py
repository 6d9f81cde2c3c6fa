"""Text with marked entities or pairs, and its words with their offsets."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral
from operator import attrgetter

from cotpd.core.errors import DataError
from cotpd.core.records import Span
from cotpd.core.splitting import Rule, Word, split_words
from cotpd.inference.extractor import Extraction

Place = tuple[int, int]
"""Characters ``[start, end)`` of a text, counted in code points."""


@dataclass(frozen=True, slots=True)
class MarkedText:
    """A text with marked entities or pairs.

    Attributes:
        text: The text.
        entities: The places of entities. For relations, every ordered pair of them is classified.
        pairs: Single pairs of a head and a tail, for relations.

    Raises:
        TypeError: If the text is not a str.
        DataError: If a pair or a place is malformed, lies outside the text or contains no word, or if the two places of
            a pair, or two entities, overlap.
    """

    text: str
    entities: tuple[Place, ...] = ()
    pairs: tuple[tuple[Place, Place], ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise TypeError(f"the text must be a str, got {type(self.text).__name__}")
        for pair in self.pairs:
            if not _has_two(pair):
                raise DataError(f"expected a pair (head, tail), each (start, end), got {pair!r}")
        for place in self.places:
            self._require_words(place)
        for group in (self.entities, *self.pairs):
            for before, after in pairwise(sorted(group)):
                if after[0] < before[1]:
                    raise DataError(f"marked places must not overlap, got {list(before)} and {list(after)}")

    @property
    def places(self) -> tuple[Place, ...]:
        """Every marked place, entities first."""
        return (*self.entities, *(place for pair in self.pairs for place in pair))

    def _require_words(self, place: Place) -> None:
        if not (_has_two(place) and all(isinstance(edge, Integral) for edge in place)):
            raise DataError(f"expected a place (start, end) with integer offsets, got {place!r}")
        start, end = place
        if not 0 <= start < end <= len(self.text):
            raise DataError(
                f"place {list(place)} lies outside the text of {len(self.text)} characters; the end is exclusive"
            )
        if self.text[start:end].isspace():
            raise DataError(f"place {list(place)} contains only whitespace; mark at least one word")


@dataclass(frozen=True, slots=True)
class MarkedPlace:
    """A marked place in the text, for example the head of a relation: ``word == text[start:end]``, in code points."""

    word: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class MarkedWords:
    """The words of a marked text, with conversion between character places and word spans."""

    text: str
    words: Sequence[Word]

    @classmethod
    def of(cls, marked: MarkedText, rule: Rule) -> MarkedWords:
        """Split a text into words, and also where a marked place begins or ends inside a word."""
        edges = sorted({edge for place in marked.places for edge in place})
        words = []
        for word in split_words(marked.text, rule):
            inside = edges[bisect_right(edges, word.start) : bisect_left(edges, word.end)]
            bounds = pairwise([word.start, *inside, word.end])
            words += [Word(marked.text[start:end], start, end) for start, end in bounds]
        return cls(marked.text, words)

    @property
    def plain(self) -> tuple[str, ...]:
        """The words without their offsets."""
        return tuple(word.text for word in self.words)

    def span(self, place: Place) -> Span:
        """Return the words of a marked place."""
        start, end = place
        first = bisect_left(self.words, start, key=attrgetter("start"))
        return Span(first, bisect_right(self.words, end, key=attrgetter("end")))

    def place(self, span: Span) -> MarkedPlace:
        """Return the characters of a span of words."""
        start, end = self.words[span.start].start, self.words[span.end - 1].end
        return MarkedPlace(self.text[start:end], start, end)


def as_marked_text(text: MarkedText | Extraction) -> MarkedText:
    """Return marked text unchanged, and an extraction as text with marked entities. Raises TypeError otherwise."""
    if isinstance(text, Extraction):
        return MarkedText(text.text, entities=tuple((mention.start, mention.end) for mention in text.entities))
    if not isinstance(text, MarkedText):
        raise TypeError(f"expected a MarkedText or an Extraction, got {type(text).__name__}")
    return text


def _has_two(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2
