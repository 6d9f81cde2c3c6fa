"""The extractor of relations: text with marked entities in, their relations out. It reads only text."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, overload

from cotpd.core.config import Task
from cotpd.core.records import NO_RELATION, Example, Relation
from cotpd.inference.candidates import candidate_pairs, fits_together
from cotpd.inference.extractor import Extraction
from cotpd.inference.marked_text import MarkedPlace, MarkedText, MarkedWords, as_marked_text
from cotpd.inference.predictor import TrainedStudent


@dataclass(frozen=True, slots=True)
class RelationMention:
    """A pair with its most probable label, which may be `NO_RELATION`, and the probability of the label."""

    label: str
    score: float
    head: MarkedPlace
    tail: MarkedPlace


@dataclass(frozen=True, slots=True)
class RelationExtraction:
    """A text and its classified pairs.

    Attributes:
        text: The text.
        pairs: The marked pairs in the given order, then the pairs of the marked entities, sorted.
        num_omitted: The number of pairs that were not classified because they are too far apart (see `candidates`).
    """

    text: str
    pairs: tuple[RelationMention, ...]
    num_omitted: int = 0

    @property
    def relations(self) -> tuple[RelationMention, ...]:
        """The pairs with a relation."""
        return tuple(pair for pair in self.pairs if pair.label != NO_RELATION)

    def to_dict(self, *, unrelated: bool = False) -> dict[str, Any]:
        """Return ``{"text", "relations": [{label, score, head: {word, start, end}, tail: {…}}]}``.

        Args:
            unrelated: Whether to include the pairs without a relation.
        """
        chosen = self.pairs if unrelated else self.relations
        return {"text": self.text, "relations": [asdict(pair) for pair in chosen]}


class RelationExtractor(TrainedStudent):
    """Classifies the relations of marked entities with a trained student.

    relations = RelationExtractor.from_pretrained("runs/mnre")
    relations(MarkedText("Anna joins Ajax", pairs=(((0, 4), (11, 15)),))).pairs
    relations(Extractor.from_pretrained("runs/twitter2017")("Anna joins Ajax")).relations
    """

    required_task: ClassVar[Task | None] = "relations"

    @overload
    def __call__(self, texts: MarkedText | Extraction) -> RelationExtraction: ...

    @overload
    def __call__(self, texts: Sequence[MarkedText | Extraction]) -> list[RelationExtraction]: ...

    def __call__(
        self, texts: MarkedText | Extraction | Sequence[MarkedText | Extraction]
    ) -> RelationExtraction | list[RelationExtraction]:
        """Classify the pairs of one text, or of several texts.

        Raises:
            TypeError: If a text is neither a `MarkedText` nor an `Extraction`.
        """
        if isinstance(texts, MarkedText | Extraction):
            return next(self.stream([texts]))
        return list(self.stream(texts))

    def stream(self, texts: Iterable[MarkedText | Extraction]) -> Iterator[RelationExtraction]:
        """Yield the relations of each text, in order and as a stream; `decode` says how many texts are buffered."""
        waiting: deque[_Request] = deque()

        def examples() -> Iterator[Example]:
            for number, text in enumerate(texts, 1):
                request = self._request(as_marked_text(text))
                waiting.append(request)
                yield Example(f"text {number}", request.words.plain, relations=request.pairs)

        for prediction in self.predict(examples()):
            yield waiting.popleft().extraction(prediction.relations)

    def _request(self, marked: MarkedText) -> _Request:
        reader, words = self.student.reader, MarkedWords.of(marked, self.student.design.splitting)
        plain = words.plain
        stated = [(words.span(head), words.span(tail)) for head, tail in marked.pairs]
        entities = {words.span(place) for place in marked.entities}
        fitting = [Relation(*pair, NO_RELATION) for pair in stated if fits_together(reader, plain, *pair)]
        candidates, marked_pairs = candidate_pairs(reader, plain, entities), set(fitting)
        num_omitted = len(stated) - len(fitting) + len(entities) * (len(entities) - 1) - len(candidates)
        return _Request(words, (*fitting, *(pair for pair in candidates if pair not in marked_pairs)), num_omitted)


@dataclass(frozen=True, slots=True)
class _Request:
    """A text in words, and its pairs to classify."""

    words: MarkedWords
    pairs: tuple[Relation, ...]
    num_omitted: int

    def extraction(self, relations: Iterable[Relation]) -> RelationExtraction:
        predicted = {relation.spans: relation for relation in relations}
        pairs = tuple(self._mention(predicted[pair.spans]) for pair in self.pairs)
        return RelationExtraction(self.words.text, pairs, self.num_omitted)

    def _mention(self, pair: Relation) -> RelationMention:
        return RelationMention(pair.label, pair.score or 0.0, self.words.place(pair.head), self.words.place(pair.tail))
