"""Posts that are taught without labels: those of other corpora, with what is known of them and nothing else."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from cotpd.core.overlap import similar_texts
from cotpd.core.records import NO_RELATION, Example, Grain
from cotpd.core.splitting import Rule, as_typed, best_rule, split_words
from cotpd.corpus.corpus import Corpus

logger = logging.getLogger(__name__)


def read_unlabelled(paths: Iterable[Path]) -> Iterator[Example]:
    """The training posts of other corpora, and those without a split, with captions and knowledge but without labels.

    Their ids are told apart by the corpus's name. Raises `DataError` as `Corpus.from_path`.
    """
    for path in paths:
        corpus = Corpus.from_path(path)
        for post in (*corpus.train, *corpus.unsplit):
            yield replace(without_labels(post), id=f"{path.resolve().name}/{post.id}")


def without_labels(post: Example) -> Example:
    """A post whose labels are forgotten: no entities, and of its pairs only where head and tail stand."""
    pairs = tuple(replace(relation, label=NO_RELATION) for relation in post.relations)
    return replace(post, entities=(), relations=pairs)


def answers_as_posts(posts: Iterable[Example], grains: Collection[Grain]) -> Iterator[Example]:
    """The answers of some grains as posts of their own, each with what else is known of the post it is about."""
    for post in posts:
        for answer in post.knowledge:
            if answer.grain in grains:
                others = tuple(other for other in post.knowledge if other is not answer)
                yield Example(
                    id=f"{post.id}~{answer.grain}",
                    words=tuple(answer.text.split()),
                    image_id=post.image_id,
                    caption=post.caption,
                    knowledge=others,
                )


def apart_from_held_out(posts: Sequence[Example], corpus: Corpus) -> tuple[Example, ...]:
    """The posts that are no near-duplicate of a dev or test post of the corpus; how many are left out is logged."""
    leaks = {overlap.second for overlap in similar_texts((*corpus.dev, *corpus.test), posts)}
    if leaks:
        logger.info("%d unlabelled posts are near-duplicates of dev or test posts and left out", len(leaks))
    return tuple(post for number, post in enumerate(posts) if number not in leaks)


def split_alike(posts: Sequence[Example], corpus: Corpus) -> tuple[Example, ...]:
    """The posts split into words as a corpus's own are; those with pairs stay as they are, for pairs count words."""
    rule = best_rule(corpus.train if posts else ())
    return tuple(post if post.relations else _resplit(post, rule) for post in posts)


def _resplit(post: Example, rule: Rule) -> Example:
    words = tuple(word.text for word in split_words(as_typed(post.words), rule))
    return replace(post, words=words or post.words)
