"""What is to be made: which posts are varied, how, how often; and the questions that this takes."""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from cotpd.core.files import hash_text
from cotpd.core.records import Entity, Example, Post, VariantKind
from cotpd.core.splitting import best_rule
from cotpd.knowledge.augmentation.projection import gold_spans, name_of
from cotpd.knowledge.elicitation import refuse_repeated_ids
from cotpd.knowledge.template import Template
from cotpd.llm.language_model import Message, Parameters

VOICES = (
    "an excited teenager",
    "a calm news reporter",
    "a sarcastic friend",
    "a proud parent",
    "a busy fan who uses abbreviations",
    "a polite official account",
)
KINDS = {"PER": "person", "LOC": "place", "ORG": "organisation", "MISC": "other name", "OTHER": "other name"}
"""How the types of the Twitter corpora are called in a question; other types are called by their own name."""

_VERSION = "v1"
_PLACEHOLDERS = {
    "style": frozenset({"post", "names", "voice", "mark"}),
    "entity": frozenset({"post", "name", "mark"}),
    "fact": frozenset({"post", "mark"}),
    "image": frozenset({"post", "mark"}),
}


@dataclass(frozen=True, slots=True)
class AugmentationSettings:
    """How much is made of what.

    ``share`` of the posts that a kind can vary is varied, each ``per_post`` times, with at most ``cap`` variants of a
    kind. New names come from the corpus, the ``model`` or both in turn; pictures are imagined for posts without a
    caption (``missing``) or for all. The ``seed`` chooses posts, names and voices; a corpus that grows keeps the
    choices for most of its posts.
    """

    kinds: tuple[VariantKind, ...] = tuple(VariantKind)
    share: float = 1.0
    per_post: int = 1
    cap: int | None = None
    names_from: Literal["corpus", "model", "both"] = "both"
    images: Literal["missing", "all"] = "missing"
    seed: int = 1


@dataclass(frozen=True, slots=True)
class MarkedPost:
    """What a question of augmentation may see of a *training* post: its text and its gold names with their kinds.

    Questions about knowledge see a `Post`, which holds neither.
    """

    text: str
    names: tuple[str, ...]
    entity: str = ""

    @classmethod
    def of(cls, example: Example, entity: Entity | None = None) -> MarkedPost:
        """A post with its names and, of one entity, its name and kind."""
        names = dict.fromkeys(example.words_of(span) for span in gold_spans(example))
        named = f"{example.words_of(entity.span)} ({KINDS.get(entity.label, entity.label.lower())})" if entity else ""
        return cls(example.text, tuple(names), named)


@dataclass(frozen=True, slots=True)
class Draft:
    """One variant to be made: the ``number``-th of a kind of a post."""

    parent: Example
    kind: VariantKind
    number: int
    entity: Entity | None = None

    @property
    def id(self) -> str:
        """The id of the variant."""
        return f"{self.parent.id}+{self.kind}{self.number}"

    @property
    def template(self) -> str:
        """The template of its question; of an entity the one that settles whether it is kept."""
        return f"{'fact' if self.kind is VariantKind.ENTITY else self.kind}.{_VERSION}"

    @property
    def parameters(self) -> Parameters:
        """How it is asked: the first variant as the model likes best, the others with chance."""
        first = self.number == 1
        return Parameters(120, temperature=0.0 if first else 0.8, seed=None if first else self.number)

    def question(self, seed: int) -> tuple[Message, ...]:
        """What the model is asked for: the rewritten post, another name, or a caption."""
        post = MarkedPost.of(self.parent, self.entity)
        template = load(self.kind)
        match self.kind:
            case VariantKind.STYLE:
                voice = VOICES[_draw(seed, self.id) % len(VOICES)]
                return template.fill(post=post.text, names="; ".join(post.names) or "(none)", voice=voice)
            case VariantKind.ENTITY:
                return template.fill(post=post.text, name=post.entity)
            case VariantKind.IMAGE:
                return template.fill(post=post.text)


def fact_question(post: Post) -> tuple[Message, ...]:
    """Whether a post is possible in fact."""
    return load("fact").fill(post=post.text)


def load(name: str) -> Template:
    """The template of augmentation of this name."""
    return Template.load(f"{name}.{_VERSION}", _PLACEHOLDERS[name])


def drafts(train: Sequence[Example], settings: AugmentationSettings) -> Iterator[Draft]:
    """What is to be made, kind by kind, in the order of the corpus. Raises `DataError` for ids that occur twice."""
    refuse_repeated_ids(train)
    for kind in settings.kinds:
        able = [post for post in train if _can_vary(post, kind, settings)]
        ranked = sorted(able, key=lambda post: hash_text(str(settings.seed), kind, post.id))
        chosen = ranked[: round(settings.share * len(able))]
        numbers = range(1, settings.per_post + 1)
        planned = {*[(number, post.id) for number in numbers for post in chosen][: settings.cap]}
        for number in numbers:
            for post in able:
                if (number, post.id) in planned:
                    yield Draft(post, kind, number, _entity(post, kind, number))


class CorpusNames:
    """The names of each type in a corpus, to be put in place of others; ``rule``: how the corpus splits words."""

    def __init__(self, examples: Sequence[Example], seed: int) -> None:
        self.rule = best_rule(examples)
        names: defaultdict[str, dict[tuple[str, ...], tuple[str, ...]]] = defaultdict(dict)
        for example in examples:
            for entity in example.entities:
                words = example.words[entity.span.start : entity.span.end]
                names[entity.label].setdefault(name_of(words), words)
        self._seed = seed
        self._rings: Mapping[str, list[tuple[int, tuple[str, ...]]]] = {
            label: sorted((_draw(seed, *words), words) for words in found.values()) for label, found in names.items()
        }
        self._labels = {
            name: {label for label in names if name in names[label]} for found in names.values() for name in found
        }

    def has_otherwise(self, words: Sequence[str], label: str) -> bool:
        """Whether the corpus has a name, but never of this type."""
        labels = self._labels.get(name_of(words))
        return labels is not None and label not in labels

    def for_draft(self, draft: Draft) -> tuple[str, ...] | None:
        """A name of the entity's type that the post does not hold, the same in a larger corpus as a rule."""
        assert draft.entity
        ring = self._rings[draft.entity.label]
        held = {name_of(draft.parent.words[span.start : span.end]) for span in gold_spans(draft.parent)}
        start = bisect.bisect(ring, (_draw(self._seed, draft.id), ()))
        candidates = (ring[(start + step) % len(ring)][1] for step in range(len(ring)))
        return next((words for words in candidates if name_of(words) not in held), None)


def asks_for_name(draft: Draft, settings: AugmentationSettings) -> bool:
    """Whether an entity's new name is asked from the model."""
    if settings.names_from == "both":
        return _draw(settings.seed, draft.id, "source") % 2 == 1
    return settings.names_from == "model"


def _can_vary(post: Example, kind: VariantKind, settings: AugmentationSettings) -> bool:
    if kind is VariantKind.ENTITY:
        return bool(post.entities)
    return kind is VariantKind.STYLE or settings.images == "all" or post.caption is None


def _entity(post: Example, kind: VariantKind, number: int) -> Entity | None:
    """The entity that a variant replaces: each of a post's in turn."""
    return post.entities[(number - 1) % len(post.entities)] if kind is VariantKind.ENTITY else None


def _draw(seed: int, *parts: str) -> int:
    return int(hash_text(str(seed), *parts)[:15], 16)
