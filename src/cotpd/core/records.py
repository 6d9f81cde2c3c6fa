"""The records in which every stage speaks: read this file first.

A corpus is read into `Example`s. Captioning adds a `Caption`, elicitation adds `Knowledge`, the student
gives `Prediction`s. All are frozen; offsets of a `Span` count words and the end is exclusive.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

NO_RELATION = "None"
"""The label of a pair that holds no relation: trained, and left out of every score (MNRE's own name)."""


class Grain(StrEnum):
    """The three grains of chain-of-thought knowledge (arXiv 2306.14122, section on knowledge)."""

    NOUN = "noun"
    SENTENCE = "sentence"
    MULTIMODALITY = "multimodality"


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Words ``start`` to ``end`` of a post, the end exclusive. Raises ValueError when empty or negative."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise ValueError(f"a span needs 0 <= start < end, not [{self.start}, {self.end})")

    def contains(self, other: Span) -> bool:
        """Return True if the other span lies wholly inside this one."""
        return self.start <= other.start and other.end <= self.end

    def shifted(self, by: int) -> Span:
        """Return the span moved by a number of words, negative to the left."""
        return Span(self.start + by, self.end + by)


@dataclass(frozen=True, slots=True)
class Entity:
    """A named entity: its words and its type.

    ``orphan``: its tags in the corpus break their scheme, as an ``I-`` that continues nothing; lenient scoring
    (conlleval) counts it, strict does not.
    ``score``: the probability of the span under the student, None for gold.
    """

    span: Span
    label: str
    orphan: bool = field(default=False, compare=False)
    score: float | None = field(default=None, compare=False)

    @property
    def spans(self) -> tuple[Span, ...]:
        """The span, as every `Annotation` gives its spans."""
        return (self.span,)

    def shifted(self, by: int) -> Entity:
        """Return the entity with its span moved by a number of words."""
        return replace(self, span=self.span.shifted(by))


@dataclass(frozen=True, slots=True)
class Relation:
    """A directed relation between two spans; ``label`` may be `NO_RELATION`. ``score``: its probability."""

    head: Span
    tail: Span
    label: str
    score: float | None = field(default=None, compare=False)

    @property
    def spans(self) -> tuple[Span, ...]:
        """The head and the tail."""
        return (self.head, self.tail)

    def shifted(self, by: int) -> Relation:
        """Return the relation with both spans moved by a number of words."""
        return replace(self, head=self.head.shifted(by), tail=self.tail.shifted(by))


Annotation = Entity | Relation
"""What a task labels in an example: every one has ``spans``, a ``label`` and, when predicted, a ``score``."""


@dataclass(frozen=True, slots=True)
class Caption:
    """What a captioner (an image-to-text model) said of an image."""

    image_id: str
    text: str
    captioner: str = ""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """One answer of a language model about a post, at one grain, with where it comes from.

    It belongs to an example (``example_id``) or to every example with an image (``image_id``): one of them is set.
    """

    grain: Grain
    text: str
    model: str = ""
    template: str = ""
    example_id: str | None = None
    image_id: str | None = None

    def __post_init__(self) -> None:
        if self.example_id is None and self.image_id is None:
            raise ValueError("knowledge needs an example_id or an image_id")


@dataclass(frozen=True, slots=True)
class Post:
    """What a language model may see of an example: never a gold label, by type."""

    id: str
    text: str
    caption: str | None = None


class VariantKind(StrEnum):
    """What augmentation changes in a post: its voice, one of its entities, or its picture."""

    STYLE = "style"
    ENTITY = "entity"
    IMAGE = "image"


@dataclass(frozen=True, slots=True)
class Origin:
    """How an example was made from another: ``parent`` is the other's id, ``template`` the question asked."""

    parent: str
    kind: VariantKind
    template: str
    model: str


@dataclass(frozen=True, slots=True)
class Example:
    """One post: its words, its gold entities and relations, its image, and what is known about it.

    ``origin`` is set of what augmentation made, None of what people wrote. ``part_of`` is the id of the post of which
    this is a pair, a window, a variant or a repetition, None of a post itself.
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

    @property
    def annotations(self) -> tuple[Annotation, ...]:
        """The gold annotations of every task."""
        return (*self.entities, *self.relations)

    @property
    def text(self) -> str:
        """The words joined by single spaces."""
        return " ".join(self.words)

    @property
    def post_id(self) -> str:
        """The id of the whole post: ``part_of``, or its own."""
        return self.part_of or self.id

    @property
    def post(self) -> Post:
        """This example as a language model may see it."""
        return Post(self.id, self.text, self.caption.text if self.caption else None)

    def words_of(self, span: Span) -> str:
        """The words of a span, joined by single spaces."""
        return " ".join(self.words[span.start : span.end])


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the student says of one post; spans count the words of the example with the same id."""

    id: str
    words: tuple[str, ...]
    entities: tuple[Entity, ...] = ()
    relations: tuple[Relation, ...] = ()

    @property
    def annotations(self) -> tuple[Annotation, ...]:
        """The predicted annotations of every task."""
        return (*self.entities, *self.relations)


@dataclass(frozen=True, slots=True)
class Rejection:
    """An answer that could not be used, with its reason: data, not an error."""

    example_id: str
    grain: Grain
    reason: str
    answer: str
    model: str = ""
    template: str = ""
