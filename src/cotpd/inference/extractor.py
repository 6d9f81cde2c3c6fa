"""The extractor of entities: text in, entities out. It reads only text."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, overload

from cotpd.core.config import Task
from cotpd.core.records import Entity, Example
from cotpd.core.splitting import Word, split_words
from cotpd.inference.predictor import TrainedStudent


@dataclass(frozen=True, slots=True)
class Mention:
    """An entity in a text, with the fields of the token-classification pipeline of transformers.

    ``word == text[start:end]``, with offsets in code points. ``score`` is the probability of the entity under the CRF.
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
        """Return ``{"text", "entities": [{entity_group, score, word, start, end}]}``."""
        return {"text": self.text, "entities": [asdict(mention) for mention in self.entities]}


class Extractor(TrainedStudent):
    """Extracts entities from text with the deployed view of a trained student.

    extractor = Extractor.from_pretrained("runs/twitter2017")
    extractor("Messi lifts the cup in Lusail").entities
    """

    required_task: ClassVar[Task | None] = "entities"

    @overload
    def __call__(self, texts: str) -> Extraction: ...  # type: ignore[overload-overlap]

    @overload
    def __call__(self, texts: Sequence[str]) -> list[Extraction]: ...

    def __call__(self, texts: str | Sequence[str]) -> Extraction | list[Extraction]:
        """Extract the entities of one text, or of several texts.

        Raises:
            TypeError: If ``texts`` is neither a str nor a sequence of str.
        """
        if isinstance(texts, str):
            return next(self.stream([texts]))
        if not isinstance(texts, Sequence) or isinstance(texts, bytes):
            raise TypeError(f"expected str or a sequence of str, got {type(texts).__name__}")
        return list(self.stream(texts))

    def stream(self, texts: Iterable[str]) -> Iterator[Extraction]:
        """Yield the entities of each text, in order and as a stream; `decode` says how many texts are buffered."""
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
        raise TypeError(f"expected str, got {type(text).__name__}")
    return text


def _mention(text: str, words: Sequence[Word], entity: Entity) -> Mention:
    start, end = words[entity.span.start].start, words[entity.span.end - 1].end
    return Mention(entity.label, entity.score or 0.0, text[start:end], start, end)
