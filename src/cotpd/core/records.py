"""Records that the stages exchange. Read this module first.

Reading a corpus creates `Example` records. Captioning attaches a `Caption`, elicitation attaches `Knowledge`, and the
extractor returns `Prediction` records. All records are immutable. A `Span` counts words, and its end is exclusive.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum

NO_RELATION = "None"
"""The label of a pair without a relation, as in MNRE. It is trained as a class but never counted in a score."""

SENTIMENTS = ("negative", "neutral", "positive")
"""The labels of a `TargetSentiment`."""


class Grain(StrEnum):
    """Level of detail of chain-of-thought knowledge (arXiv 2306.14122).

    Attributes:
        NOUN: Explains the nouns of a post.
        SENTENCE: Explains what the post says as a whole.
        MULTIMODALITY: Explains how the text and the image belong together.
    """

    NOUN = "noun"
    SENTENCE = "sentence"
    MULTIMODALITY = "multimodality"


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A contiguous range of words.

    Attributes:
        start: Index of the first word, from 0.
        end: Index after the last word.

    Raises:
        ValueError: If the span is empty or starts before 0.
    """

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise ValueError(f"a span must satisfy 0 <= start < end, got [{self.start}, {self.end})")

    def contains(self, other: Span) -> bool:
        """Return True if the other span lies wholly inside this one."""
        return self.start <= other.start and other.end <= self.end

    def shifted(self, by: int) -> Span:
        """Return the span moved by a number of words, negative to the left."""
        return Span(self.start + by, self.end + by)


@dataclass(frozen=True, slots=True)
class Entity:
    """A named entity.

    Attributes:
        span: The words of the entity.
        label: The entity type, for example ``"PER"``.
        orphan: True if the tags of the entity break their scheme in the corpus, for example an ``I-`` tag after ``O``.
            Lenient scoring (conlleval) counts such an entity, strict scoring does not.
        score: The probability that the student assigns to the entity. None for gold entities.
    """

    span: Span
    label: str
    orphan: bool = field(default=False, compare=False)
    score: float | None = field(default=None, compare=False)

    @property
    def spans(self) -> tuple[Span, ...]:
        """The span, as every `Annotation` gives its spans."""
        return (self.span,)

    def moved(self, move: Callable[[Span], Span]) -> Entity:
        """Return the entity with its span replaced by ``move(span)``."""
        return replace(self, span=move(self.span))


@dataclass(frozen=True, slots=True)
class Relation:
    """A directed relation between two spans.

    Attributes:
        head: The first argument.
        tail: The second argument.
        label: The relation type, or `NO_RELATION`.
        score: The probability that the student assigns to the relation. None for gold relations.
    """

    head: Span
    tail: Span
    label: str
    score: float | None = field(default=None, compare=False)

    @property
    def spans(self) -> tuple[Span, ...]:
        """The head and the tail."""
        return (self.head, self.tail)

    def moved(self, move: Callable[[Span], Span]) -> Relation:
        """Return the relation with each of its spans replaced by ``move(span)``."""
        return replace(self, head=move(self.head), tail=move(self.tail))


@dataclass(frozen=True, slots=True)
class TargetSentiment:
    """The sentiment of a post toward a target that it mentions.

    Attributes:
        span: The words of the target.
        label: One of `SENTIMENTS`.
        score: The probability that the student assigns to the label. None for gold sentiments.
    """

    span: Span
    label: str
    score: float | None = field(default=None, compare=False)

    @property
    def spans(self) -> tuple[Span, ...]:
        """The span, as every `Annotation` gives its spans."""
        return (self.span,)

    def moved(self, move: Callable[[Span], Span]) -> TargetSentiment:
        """Return the sentiment with its span replaced by ``move(span)``."""
        return replace(self, span=move(self.span))


Annotation = Entity | Relation | TargetSentiment
"""What a task labels in an example: every one has ``spans``, a ``label`` and, when predicted, a ``score``."""


@dataclass(frozen=True, slots=True)
class Caption:
    """A description of an image.

    Attributes:
        image_id: The id of the image.
        text: The description.
        captioner: The name of the image-to-text model that wrote it.
    """

    image_id: str
    text: str
    captioner: str = ""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """A chain-of-thought answer of a language model about an example.

    Attributes:
        grain: The level of detail that the question asked for.
        text: The answer.
        model: The name of the language model.
        template: The name and version of the question template.
        example_id: The example that the answer describes.
        image_id: The image that the answer describes. Such an answer belongs to all examples with this image.

    Raises:
        ValueError: If both ``example_id`` and ``image_id`` are None.
    """

    grain: Grain
    text: str
    model: str = ""
    template: str = ""
    example_id: str | None = None
    image_id: str | None = None

    def __post_init__(self) -> None:
        if self.example_id is None and self.image_id is None:
            raise ValueError(f"knowledge must have an example_id or an image_id, got neither for {self.text[:40]!r}")


@dataclass(frozen=True, slots=True)
class Post:
    """The part of an example that a language model may see.

    The record has no field for gold labels, so a question cannot reveal them.

    Attributes:
        id: The id of the example.
        text: The words of the example, joined by single spaces.
        caption: The description of the image, if there is one.
    """

    id: str
    text: str
    caption: str | None = None


class VariantKind(StrEnum):
    """The part of an example that augmentation changes.

    Attributes:
        STYLE: The wording; the entities stay the same.
        ENTITY: One entity, replaced by another of the same type.
        IMAGE: The caption; the words stay the same.
    """

    STYLE = "style"
    ENTITY = "entity"
    IMAGE = "image"


@dataclass(frozen=True, slots=True)
class Origin:
    """The source of an augmented example.

    Attributes:
        parent: The id of the original example.
        kind: What was changed.
        template: The name and version of the question template.
        model: The name of the language model that wrote the variant.
    """

    parent: str
    kind: VariantKind
    template: str
    model: str


@dataclass(frozen=True, slots=True)
class Example:
    """One record of a corpus: words, gold labels, and the caption and knowledge about it.

    Attributes:
        id: The id, unique within a corpus.
        words: The words of the text.
        entities: The gold entities, in order and without overlaps.
        relations: The gold relations.
        image_id: The id of the image. None if there is no image.
        caption: The description of the image.
        knowledge: The answers of a language model, at most one per grain.
        origin: Where an augmented example comes from. None for an example that a person wrote.
        part_of: The id of the whole post if this example is only a part or a copy of it: a pair, a window, a variant
            or a repeated id. None for a whole post.
        sentiments: The gold sentiments toward targets.
    """

    id: str
    words: tuple[str, ...]
    entities: tuple[Entity, ...] = ()
    relations: tuple[Relation, ...] = ()
    image_id: str | None = None
    caption: Caption | None = None
    knowledge: tuple[Knowledge, ...] = ()
    origin: Origin | None = field(default=None, repr=False)
    part_of: str | None = field(default=None, repr=False, compare=False)
    sentiments: tuple[TargetSentiment, ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        """Return the text that fingerprints hash. It is the repr, followed by the sentiments if there are any."""
        return f"{self!r}{self.sentiments or ''}"

    @property
    def annotations(self) -> tuple[Annotation, ...]:
        """The gold annotations of every task."""
        return (*self.entities, *self.relations, *self.sentiments)

    @property
    def text(self) -> str:
        """Return the words joined by single spaces."""
        return " ".join(self.words)

    @property
    def post_id(self) -> str:
        """Return the id of the whole post, which is ``part_of`` if set."""
        return self.part_of or self.id

    @property
    def post(self) -> Post:
        """Return the part of this example that a language model may see."""
        return Post(self.id, self.text, self.caption.text if self.caption else None)

    def words_of(self, span: Span) -> str:
        """Return the words of a span, joined by single spaces."""
        return " ".join(self.words[span.start : span.end])


@dataclass(frozen=True, slots=True)
class Prediction:
    """The output of the extractor for one example.

    Attributes:
        id: The id of the example.
        words: The words that the spans count.
        entities: The predicted entities.
        relations: The predicted relations.
        sentiments: The predicted sentiments.
    """

    id: str
    words: tuple[str, ...]
    entities: tuple[Entity, ...] = ()
    relations: tuple[Relation, ...] = ()
    sentiments: tuple[TargetSentiment, ...] = ()

    @property
    def annotations(self) -> tuple[Annotation, ...]:
        """The predicted annotations of every task."""
        return (*self.entities, *self.relations, *self.sentiments)


@dataclass(frozen=True, slots=True)
class Rejection:
    """An answer of a language model that could not be used. Rejections are recorded, not raised.

    Attributes:
        example_id: The example that the question was about.
        grain: The grain that the question asked for.
        reason: Why the answer was rejected.
        answer: The answer as received.
        model: The name of the language model.
        template: The name and version of the question template.
    """

    example_id: str
    grain: Grain
    reason: str
    answer: str
    model: str = ""
    template: str = ""
