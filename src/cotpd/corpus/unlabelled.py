"""Posts that are taught without labels: those of other corpora, with what is known of them and nothing else."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from cotpd.core.overlap import similar_texts
from cotpd.core.records import NO_RELATION, Example
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


def fitted(posts: Sequence[Example], corpus: Corpus) -> tuple[Example, ...]:
    """The posts as a corpus can be taught by them: split into words as its own are, and none that is held out.

    Near-duplicates of its dev and test posts are left out, and how many is logged. Posts with pairs stay as they were
    split, for pairs count words.
    """
    leaks = {overlap.second for overlap in similar_texts((*corpus.dev, *corpus.test), posts)}
    if leaks:
        logger.info("%d unlabelled posts are near-duplicates of dev or test posts and left out", len(leaks))
    rule = best_rule(corpus.train)
    return tuple(_resplit(post, rule) for number, post in enumerate(posts) if number not in leaks)


def _resplit(post: Example, rule: Rule) -> Example:
    words = tuple(word.text for word in split_words(as_typed(post.words), rule))
    return post if post.relations else replace(post, words=words or post.words)
