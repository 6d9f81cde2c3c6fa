"""The finished product: text in, entities out. It reads text alone, so nothing else can be needed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, overload

from cotpd.core.errors import UsageError
from cotpd.core.records import Entity, Example
from cotpd.core.splitting import Word, split_words
from cotpd.inference.predictor import TrainedStudent


@dataclass(frozen=True, slots=True)
class Mention:
    """An entity in a text, with the fields of transformers' token-classification pipeline.

    ``word == text[start:end]``, counted in code points; ``score`` is the probability of the entity under the CRF.
    """

    entity_group: str
    score: float
    word: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Extraction:
    """A text and its entities, in order."""

    text: str
    entities: tuple[Mention, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values: ``{"text", "entities": [{entity_group, score, word, start, end}]}``."""
        return {"text": self.text, "entities": [asdict(mention) for mention in self.entities]}


class Extractor(TrainedStudent):
    """Extracts entities from text with a trained student, by the view that was trained to stand alone.

    extractor = Extractor.from_pretrained("runs/twitter2017")
    extractor("Messi lifts the cup in Lusail").entities
    """

    @overload
    def __call__(self, texts: str) -> Extraction: ...  # type: ignore[overload-overlap]

    @overload
    def __call__(self, texts: Sequence[str]) -> list[Extraction]: ...

    def __call__(self, texts: str | Sequence[str]) -> Extraction | list[Extraction]:
        """The entities of a text, or of each of several texts.

        Raises TypeError for anything but text, and `UsageError` where the student learnt relations.
        """
        if isinstance(texts, str):
            return next(self.stream([texts]))
        if not isinstance(texts, Sequence) or isinstance(texts, bytes):
            raise TypeError(f"text is extracted from: a str or a sequence of str, not {type(texts).__name__}")
        return list(self.stream(texts))

    def stream(self, texts: Iterable[str]) -> Iterator[Extraction]:
        """The entities of each text as they come, in order; as many are held as `decode` pools."""
        if self.student.design.task != "entities":
            raise UsageError("this student was trained on relations and finds no entities; use RelationExtractor")
        waiting: deque[tuple[str, list[Word]]] = deque()

        def examples() -> Iterator[Example]:
            for number, text in enumerate(texts, 1):
                words = split_words(_require_text(text), self.student.design.splitting)
                waiting.append((text, words))
                yield Example(f"text {number}", tuple(word.text for word in words))

        for prediction in self.predict(examples()):
            text, words = waiting.popleft()
            yield Extraction(text, tuple(_mention(text, words, entity) for entity in prediction.entities))


def _require_text(text: object) -> str:
    if not isinstance(text, str):
        raise TypeError(f"text is extracted from: a str was expected, not {type(text).__name__}")
    return text


def _mention(text: str, words: Sequence[Word], entity: Entity) -> Mention:
    start, end = words[entity.span.start].start, words[entity.span.end - 1].end
    return Mention(entity.label, entity.score or 0.0, text[start:end], start, end)
