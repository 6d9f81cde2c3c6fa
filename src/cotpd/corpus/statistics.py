"""What a corpus holds, in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cotpd.core.records import Caption, Example, Grain, Knowledge
from cotpd.corpus.sidecars import Sidecar


@dataclass(frozen=True, slots=True)
class SplitStatistics:
    """The counts of one split.

    ``orphans`` are entities that begin with an ``I-`` tag: ``entities`` (lenient, as conlleval counts) holds them,
    ``strict_entities`` does not. ``longest`` and ``words`` count words; the others count posts, images or rows.
    """

    posts: int
    words: int
    longest: int
    images: int
    entities: Mapping[str, int]
    orphans: int
    relations: Mapping[str, int]
    without_entities: int
    with_caption: int
    with_knowledge: Mapping[str, int]

    @property
    def num_entities(self) -> int:
        """All entities, lenient."""
        return sum(self.entities.values())

    @property
    def strict_entities(self) -> int:
        """The entities that begin with a ``B-`` tag."""
        return self.num_entities - self.orphans


@dataclass(frozen=True, slots=True)
class CompanionStatistics:
    """The rows of a captions or knowledge file: by maker, the maker chosen, and what became of its rows."""

    rows: Mapping[str, int]
    chosen: str
    blank: int
    repeated: int
    unmatched: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """The counts of each split, and of the files of captions and knowledge where there are any."""

    splits: Mapping[str, SplitStatistics]
    captions: CompanionStatistics | None
    knowledge: CompanionStatistics | None


def count(
    splits: Mapping[str, Sequence[Example]],
    captions: Sidecar[Caption] | None = None,
    knowledge: Sidecar[Knowledge] | None = None,
    *,
    variants: Iterable[Example] = (),
) -> Statistics:
    """The statistics of these splits and companions; rows may also belong to ``variants``, which are not counted."""
    examples = [*(example for posts in splits.values() for example in posts), *variants]
    return Statistics(
        {split: _of_split(posts) for split, posts in splits.items()},
        None if captions is None else _of_companion(captions, examples),
        None if knowledge is None else _of_companion(knowledge, examples),
    )


def _of_split(posts: Sequence[Example]) -> SplitStatistics:
    entities = [entity for post in posts for entity in post.entities]
    grains = Counter(str(grain) for post in posts for grain in {row.grain for row in post.knowledge})
    return SplitStatistics(
        posts=len(posts),
        words=sum(len(post.words) for post in posts),
        longest=max((len(post.words) for post in posts), default=0),
        images=len({post.image_id for post in posts} - {None}),
        entities=_sorted(Counter(entity.label for entity in entities)),
        orphans=sum(entity.orphan for entity in entities),
        relations=_sorted(Counter(relation.label for post in posts for relation in post.relations)),
        without_entities=sum(not post.entities for post in posts),
        with_caption=sum(post.caption is not None for post in posts),
        with_knowledge={str(grain): grains[str(grain)] for grain in Grain},
    )


def _of_companion(
    companion: Sidecar[Caption] | Sidecar[Knowledge], examples: Sequence[Example]
) -> CompanionStatistics:
    unmatched = companion.num_unmatched(examples)
    return CompanionStatistics(dict(companion.rows), companion.chosen, companion.blank, companion.repeated, unmatched)


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))
