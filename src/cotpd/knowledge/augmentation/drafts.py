"""Drafts: which examples are varied, in which way and how often, and the questions that ask for the variants."""

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
"""The names of entity types in questions. Other types have their own name in lower case."""

_VERSION = "v1"
_PLACEHOLDERS = {
    "style": frozenset({"post", "names", "voice", "mark"}),
    "entity": frozenset({"post", "name", "mark"}),
    "fact": frozenset({"post", "mark"}),
    "image": frozenset({"post", "mark"}),
}


@dataclass(frozen=True, slots=True)
class AugmentationSettings:
    """What is varied and how often.

    Attributes:
        kinds: The kinds of variants.
        share: The share of the posts that is varied, of those that a kind can vary.
        per_post: Variants of each kind per post.
        names_from: Where new names come from: the corpus, the model, or each for about half of the posts.
        images: Invent images for posts without a caption (``missing``) or for all posts.
        seed: Chooses posts, names and voices. If a corpus grows, most of its posts keep their variants.
    """

    kinds: tuple[VariantKind, ...] = tuple(VariantKind)
    share: float = 1.0
    per_post: int = 1
    names_from: Literal["corpus", "model", "both"] = "both"
    images: Literal["missing", "all"] = "missing"
    seed: int = 1


@dataclass(frozen=True, slots=True)
class MarkedPost:
    """The view of a *training* post for questions of augmentation: its text, its gold names and their types.

    Questions that elicit knowledge only see a `Post`, which has no names.
    """

    text: str
    names: tuple[str, ...]
    entity: str = ""

    @classmethod
    def of(cls, example: Example, entity: Entity | None = None) -> MarkedPost:
        """Return the view of an example; ``entity`` is the entity whose name is replaced."""
        names = dict.fromkeys(example.words_of(span) for span in gold_spans(example))
        named = f"{example.words_of(entity.span)} ({KINDS.get(entity.label, entity.label.lower())})" if entity else ""
        return cls(example.text, tuple(names), named)


@dataclass(frozen=True, slots=True)
class Draft:
    """One planned variant: number ``number`` of a kind for a post."""

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
        """The template of the question that decides whether the variant is kept."""
        return f"{'fact' if self.kind is VariantKind.ENTITY else self.kind}.{_VERSION}"

    @property
    def parameters(self) -> Parameters:
        """Sampling parameters: greedy for the first variant of a post, sampled with a seed for the others."""
        first = self.number == 1
        return Parameters(120, temperature=0.0 if first else 0.8, seed=None if first else self.number)

    def question(self, seed: int) -> tuple[Message, ...]:
        """Return the messages that ask for the rewritten post, another name or a caption."""
        post = MarkedPost.of(self.parent, self.entity)
        template = load_template(self.kind)
        match self.kind:
            case VariantKind.STYLE:
                voice = VOICES[_hash_number(seed, self.id) % len(VOICES)]
                return template.fill(post=post.text, names="; ".join(post.names) or "(none)", voice=voice)
            case VariantKind.ENTITY:
                return template.fill(post=post.text, name=post.entity)
            case VariantKind.IMAGE:
                return template.fill(post=post.text)


def fact_question(post: Post) -> tuple[Message, ...]:
    """Return the messages that ask whether a post is factually possible."""
    return load_template("fact").fill(post=post.text)


def load_template(name: str) -> Template:
    """Return a template of augmentation: style, entity, fact or image."""
    return Template.load(f"{name}.{_VERSION}", _PLACEHOLDERS[name], package="cotpd.knowledge.augmentation")


def drafts(train: Sequence[Example], settings: AugmentationSettings) -> Iterator[Draft]:
    """Yield the planned variants, kind by kind in the order of the corpus.

    Raises:
        DataError: If two examples have the same id.
    """
    refuse_repeated_ids(train)
    for kind in settings.kinds:
        candidates = [example for example in train if _can_vary(example, kind, settings)]
        ranked = sorted(candidates, key=lambda example: hash_text(str(settings.seed), kind, example.id))
        chosen = {example.id for example in ranked[: round(settings.share * len(candidates))]}
        for number in range(1, settings.per_post + 1):
            for example in candidates:
                if example.id in chosen:
                    yield Draft(example, kind, number, _entity_to_replace(example, kind, number))


class CorpusNames:
    """The names of each type in a corpus, which replace other names. ``rule`` is the splitting rule of the corpus."""

    def __init__(self, examples: Sequence[Example], seed: int) -> None:
        self.rule = best_rule(examples)
        names: defaultdict[str, dict[tuple[str, ...], tuple[str, ...]]] = defaultdict(dict)
        for example in examples:
            for entity in example.entities:
                words = example.words[entity.span.start : entity.span.end]
                names[entity.label].setdefault(name_of(words), words)
        self._seed = seed
        self._rings: Mapping[str, list[tuple[int, tuple[str, ...]]]] = {
            label: sorted((_hash_number(seed, *words), words) for words in mentions.values())
            for label, mentions in names.items()
        }
        self._labels: dict[tuple[str, ...], set[str]] = defaultdict(set)
        for label, mentions in names.items():
            for name in mentions:
                self._labels[name].add(label)

    def has_only_other_types(self, words: Sequence[str], label: str) -> bool:
        """Return True if the corpus has this name, but never with this type."""
        labels = self._labels.get(name_of(words))
        return labels is not None and label not in labels

    def for_draft(self, draft: Draft) -> tuple[str, ...] | None:
        """Return a name of the entity's type that the post does not have; None if there is none.

        Names are ordered by hash on a ring, so most choices stay the same if the corpus grows.
        """
        assert draft.entity
        ring = self._rings[draft.entity.label]
        own_names = {name_of(draft.parent.words[span.start : span.end]) for span in gold_spans(draft.parent)}
        start = bisect.bisect(ring, (_hash_number(self._seed, draft.id), ()))
        candidates = (ring[(start + step) % len(ring)][1] for step in range(len(ring)))
        return next((words for words in candidates if name_of(words) not in own_names), None)


def asks_for_name(draft: Draft, settings: AugmentationSettings) -> bool:
    """Return True if the model, and not the corpus, gives the new name."""
    if settings.names_from == "both":
        return _hash_number(settings.seed, draft.id, "source") % 2 == 1
    return settings.names_from == "model"


def _can_vary(example: Example, kind: VariantKind, settings: AugmentationSettings) -> bool:
    if kind is VariantKind.ENTITY:
        return bool(example.entities)
    return kind is VariantKind.STYLE or settings.images == "all" or example.caption is None


def _entity_to_replace(example: Example, kind: VariantKind, number: int) -> Entity | None:
    """Return the entity that a variant replaces: the variants of an example take its entities in turn."""
    return example.entities[(number - 1) % len(example.entities)] if kind is VariantKind.ENTITY else None


def _hash_number(seed: int, *parts: str) -> int:
    return int(hash_text(str(seed), *parts)[:15], 16)
