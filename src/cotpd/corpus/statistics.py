"""Counts of posts, entities, relations and sidecar rows of a corpus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cotpd.core.records import Caption, Example, Grain, Knowledge
from cotpd.corpus.sidecars import Sidecar


@dataclass(frozen=True, slots=True)
class SplitStatistics:
    """Counts of one split.

    Attributes:
        posts: The number of posts.
        words: The number of words.
        longest: The number of words of the longest post.
        images: The number of different images.
        entities: The number of entities by type, counted leniently as in conlleval: orphans are included.
        orphans: The number of entities whose tags break their scheme.
        relations: The number of relations by label.
        without_entities: The number of posts without an entity.
        with_caption: The number of posts with a caption.
        with_knowledge: The number of posts with knowledge, by grain.
        sentiments: The number of targets by sentiment.
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
    sentiments: Mapping[str, int]

    @property
    def num_entities(self) -> int:
        """Return the number of entities, counted leniently."""
        return sum(self.entities.values())

    @property
    def strict_entities(self) -> int:
        """Return the number of entities without orphans."""
        return self.num_entities - self.orphans


@dataclass(frozen=True, slots=True)
class SidecarStatistics:
    """Counts of the rows of a captions or knowledge file.

    Attributes:
        rows: The number of rows by captioner or language model.
        chosen: The captioner or language model in use.
        blank: The number of its rows without text.
        repeated: The number of its rows for an example or image that has an earlier row.
        unmatched: The number of its rows that belong to no post.
    """

    rows: Mapping[str, int]
    chosen: str
    blank: int
    repeated: int
    unmatched: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts of a corpus.

    Attributes:
        splits: The counts by split.
        captions: The counts of the captions file. None if there is none.
        knowledge: The counts of the knowledge file. None if there is none.
    """

    splits: Mapping[str, SplitStatistics]
    captions: SidecarStatistics | None
    knowledge: SidecarStatistics | None


def count(
    splits: Mapping[str, Sequence[Example]],
    captions: Sidecar[Caption] | None = None,
    knowledge: Sidecar[Knowledge] | None = None,
    *,
    variants: Iterable[Example] = (),
) -> Statistics:
    """Count the content of splits and sidecar files.

    Args:
        splits: The examples by split.
        captions: The captions file.
        knowledge: The knowledge file.
        variants: Augmented examples. They are not counted, but sidecar rows may belong to them.
    """
    examples = [*(example for posts in splits.values() for example in posts), *variants]
    return Statistics(
        {split: _count_split(posts) for split, posts in splits.items()},
        None if captions is None else _count_sidecar(captions, examples),
        None if knowledge is None else _count_sidecar(knowledge, examples),
    )


def _count_split(posts: Sequence[Example]) -> SplitStatistics:
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
        sentiments=_sorted(Counter(sentiment.label for post in posts for sentiment in post.sentiments)),
    )


def _count_sidecar(sidecar: Sidecar[Caption] | Sidecar[Knowledge], examples: Sequence[Example]) -> SidecarStatistics:
    unmatched = sidecar.num_unmatched(examples)
    return SidecarStatistics(dict(sidecar.rows), sidecar.chosen, sidecar.blank, sidecar.repeated, unmatched)


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))
