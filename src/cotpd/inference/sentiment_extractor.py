"""The extractor of target sentiment: text with marked targets in, sentiments out. It reads only text."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, overload

from cotpd.core.config import Task
from cotpd.core.records import SENTIMENTS, Example, TargetSentiment
from cotpd.inference.extractor import Extraction
from cotpd.inference.marked_text import MarkedPlace, MarkedText, MarkedWords, as_marked_text
from cotpd.inference.predictor import TrainedStudent


@dataclass(frozen=True, slots=True)
class SentimentMention:
    """A target with its most probable sentiment and the probability of that label."""

    label: str
    score: float
    target: MarkedPlace


@dataclass(frozen=True, slots=True)
class SentimentExtraction:
    """A text and the sentiments toward its targets, in the order of the targets."""

    text: str
    sentiments: tuple[SentimentMention, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"text", "sentiments": [{label, score, target: {word, start, end}}]}``."""
        return {"text": self.text, "sentiments": [asdict(mention) for mention in self.sentiments]}


class SentimentExtractor(TrainedStudent):
    """Classifies the sentiment toward marked targets, the ``entities`` of a text, with a trained student.

    sentiment = SentimentExtractor.from_pretrained("runs/twitter2017-sentiment")
    sentiment(MarkedText("Anna loves Ajax", entities=((11, 15),))).sentiments
    sentiment(Extractor.from_pretrained("runs/twitter2017")("Anna loves Ajax")).sentiments
    """

    required_task: ClassVar[Task | None] = "sentiment"

    @overload
    def __call__(self, texts: MarkedText | Extraction) -> SentimentExtraction: ...

    @overload
    def __call__(self, texts: Sequence[MarkedText | Extraction]) -> list[SentimentExtraction]: ...

    def __call__(
        self, texts: MarkedText | Extraction | Sequence[MarkedText | Extraction]
    ) -> SentimentExtraction | list[SentimentExtraction]:
        """Classify the targets of one text, or of several texts.

        Raises:
            TypeError: If a text is neither a `MarkedText` nor an `Extraction`.
            DataError: If a target is longer than the encoder allows.
        """
        if isinstance(texts, MarkedText | Extraction):
            return next(self.stream([texts]))
        return list(self.stream(texts))

    def stream(self, texts: Iterable[MarkedText | Extraction]) -> Iterator[SentimentExtraction]:
        """Yield the sentiments of each text, in order and as a stream; `decode` says how many texts are buffered."""
        waiting: deque[MarkedWords] = deque()

        def examples() -> Iterator[Example]:
            for number, text in enumerate(texts, 1):
                marked = as_marked_text(text)
                words = MarkedWords.of(marked, self.student.design.splitting)
                waiting.append(words)
                targets = tuple(TargetSentiment(words.span(place), SENTIMENTS[0]) for place in marked.entities)
                yield Example(f"text {number}", words.plain, sentiments=targets)

        for prediction in self.predict(examples()):
            words = waiting.popleft()
            yield SentimentExtraction(
                words.text, tuple(_mention(words, sentiment) for sentiment in prediction.sentiments)
            )


def _mention(words: MarkedWords, sentiment: TargetSentiment) -> SentimentMention:
    return SentimentMention(sentiment.label, sentiment.score or 0.0, words.place(sentiment.span))
