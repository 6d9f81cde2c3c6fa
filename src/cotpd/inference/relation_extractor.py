"""Text with marked entities in, the relations of their pairs out. Text is all that is read here, too."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from numbers import Integral
from operator import attrgetter
from typing import Any, overload

from cotpd.core.errors import DataError, UsageError
from cotpd.core.records import NO_RELATION, Example, Relation, Span
from cotpd.core.splitting import Rule, Word, split_words
from cotpd.inference.candidates import candidates, fits
from cotpd.inference.extractor import Extraction
from cotpd.inference.predictor import TrainedStudent

Place = tuple[int, int]
"""Characters ``[start, end)`` of a text, counted in code points."""


@dataclass(frozen=True, slots=True)
class MarkedText:
    """A text with the places whose relations are asked for: of single (head, tail) ``pairs``, or of all ``entities``.

    Entities stand for every ordered pair of them. Raises TypeError for a text that is no str; `DataError` for what is
    no pair or no place, for a place that lies outside the text or holds no word, and where the two of a pair, or two
    entities, overlap.
    """

    text: str
    entities: tuple[Place, ...] = ()
    pairs: tuple[tuple[Place, Place], ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise TypeError(f"relations are told of text: a str was expected, not {type(self.text).__name__}")
        for pair in self.pairs:
            if not _is_two(pair):
                raise DataError(f"{pair!r} is no pair; a head and a tail, each (start, end), are expected")
        for place in self.places:
            self._require_words(place)
        for group in (self.entities, *self.pairs):
            for before, after in pairwise(sorted(group)):
                if after[0] < before[1]:
                    raise DataError(f"{list(before)} and {list(after)} overlap; a pair is of two that do not")

    @property
    def places(self) -> tuple[Place, ...]:
        """Every place that is marked, those of entities first."""
        return (*self.entities, *(place for pair in self.pairs for place in pair))

    def _require_words(self, place: Place) -> None:
        if not (_is_two(place) and all(isinstance(edge, Integral) for edge in place)):
            raise DataError(f"{place!r} is no place; (start, end) in whole characters is expected")
        start, end = place
        if not 0 <= start < end <= len(self.text):
            raise DataError(
                f"{list(place)} does not lie in a text of {len(self.text)} characters (the end is exclusive)"
            )
        if self.text[start:end].isspace():
            raise DataError(f"{list(place)} holds no word, only white space")


@dataclass(frozen=True, slots=True)
class Argument:
    """The head or the tail of a relation: ``word == text[start:end]``, counted in code points."""

    word: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class RelationMention:
    """A pair of a text with its likeliest label, `NO_RELATION` included, and the label's probability."""

    label: str
    score: float
    head: Argument
    tail: Argument


@dataclass(frozen=True, slots=True)
class RelationExtraction:
    """A text and each of its pairs: the marked ones as they were marked, then those of its entities in order.

    ``num_left_out``: pairs that were not read, for their words lie too far apart (see `candidates`).
    """

    text: str
    pairs: tuple[RelationMention, ...]
    num_left_out: int = 0

    @property
    def relations(self) -> tuple[RelationMention, ...]:
        """The pairs that hold a relation."""
        return tuple(pair for pair in self.pairs if pair.label != NO_RELATION)

    def to_dict(self, *, unrelated: bool = False) -> dict[str, Any]:
        """Plain values: ``{"text", "relations": [{label, score, head: {word, start, end}, tail: {…}}]}``.

        ``unrelated``: also the pairs without a relation.
        """
        chosen = self.pairs if unrelated else self.relations
        return {"text": self.text, "relations": [asdict(pair) for pair in chosen]}


class RelationExtractor(TrainedStudent):
    """Tells the relations of marked entities with a student that was trained on relations.

    It takes what marks entities: a `MarkedText`, or the extraction of an `Extractor`.

    relations = RelationExtractor.from_pretrained("runs/mnre")
    relations(MarkedText("Anna joins Ajax", pairs=(((0, 4), (11, 15)),))).pairs
    relations(Extractor.from_pretrained("runs/twitter2017")("Anna joins Ajax")).relations
    """

    @overload
    def __call__(self, texts: MarkedText | Extraction) -> RelationExtraction: ...

    @overload
    def __call__(self, texts: Sequence[MarkedText | Extraction]) -> list[RelationExtraction]: ...

    def __call__(
        self, texts: MarkedText | Extraction | Sequence[MarkedText | Extraction]
    ) -> RelationExtraction | list[RelationExtraction]:
        """The relations of a text, or of each of several texts.

        Raises TypeError for anything else, and `UsageError` where the student learnt entities.
        """
        if isinstance(texts, MarkedText | Extraction):
            return next(self.stream([texts]))
        return list(self.stream(texts))

    def stream(self, texts: Iterable[MarkedText | Extraction]) -> Iterator[RelationExtraction]:
        """The relations of each text as they come, in order; as many are held as `decode` pools."""
        if self.student.design.task != "relations":
            raise UsageError("this student was trained on entities and tells no relations; use Extractor")
        waiting: deque[_Reading] = deque()

        def examples() -> Iterator[Example]:
            for number, text in enumerate(texts, 1):
                reading = self._read(_marked(text))
                waiting.append(reading)
                yield Example(f"text {number}", tuple(word.text for word in reading.words), relations=reading.asked)

        for prediction in self.predict(examples()):
            yield waiting.popleft().answered(prediction.relations)

    def _read(self, marked: MarkedText) -> _Reading:
        reader, words = self.student.reader, _words(marked, self.student.design.splitting)
        plain = tuple(word.text for word in words)
        stated = [(_span(words, head), _span(words, tail)) for head, tail in marked.pairs]
        entities = {_span(words, place) for place in marked.entities}
        fitting = [Relation(*pair, NO_RELATION) for pair in stated if fits(reader, plain, *pair)]
        found, already = candidates(reader, plain, entities), set(fitting)
        num_left_out = len(stated) - len(fitting) + len(entities) * (len(entities) - 1) - len(found)
        asked = (*fitting, *(pair for pair in found if pair not in already))
        return _Reading(marked.text, words, asked, num_left_out)


@dataclass(frozen=True, slots=True)
class _Reading:
    """A text in words, and the pairs of it that are asked for."""

    text: str
    words: Sequence[Word]
    asked: tuple[Relation, ...]
    num_left_out: int

    def answered(self, relations: Iterable[Relation]) -> RelationExtraction:
        told = {(each.head, each.tail): each for each in relations}
        pairs = tuple(self._mention(told[pair.head, pair.tail]) for pair in self.asked)
        return RelationExtraction(self.text, pairs, self.num_left_out)

    def _mention(self, told: Relation) -> RelationMention:
        return RelationMention(told.label, told.score or 0.0, self._argument(told.head), self._argument(told.tail))

    def _argument(self, span: Span) -> Argument:
        start, end = self.words[span.start].start, self.words[span.end - 1].end
        return Argument(self.text[start:end], start, end)


def _is_two(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2


def _marked(text: MarkedText | Extraction) -> MarkedText:
    if isinstance(text, Extraction):
        return MarkedText(text.text, entities=tuple((mention.start, mention.end) for mention in text.entities))
    if not isinstance(text, MarkedText):
        raise TypeError(f"a MarkedText or an Extraction was expected, not {type(text).__name__}")
    return text


def _words(marked: MarkedText, rule: Rule) -> list[Word]:
    """The words of a text; one in which a place begins or ends is cut there, so that offsets stay as they are."""
    edges = sorted({edge for place in marked.places for edge in place})
    words = []
    for word in split_words(marked.text, rule):
        inside = edges[bisect_right(edges, word.start) : bisect_left(edges, word.end)]
        bounds = pairwise([word.start, *inside, word.end])
        words += [Word(marked.text[start:end], start, end) for start, end in bounds]
    return words


def _span(words: Sequence[Word], place: Place) -> Span:
    start, end = place
    return Span(bisect_left(words, start, key=attrgetter("start")), bisect_right(words, end, key=attrgetter("end")))
