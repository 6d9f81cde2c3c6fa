"""Posts that are taught without labels: those of other corpora, with what is known of them and nothing else."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from cotpd.core.errors import UsageError
from cotpd.core.overlap import similar_texts
from cotpd.core.records import Example
from cotpd.core.splitting import Rule, as_typed, best_rule, split_words
from cotpd.corpus.corpus import Corpus, embedded

logger = logging.getLogger(__name__)


def read_unlabelled(
    paths: Iterable[Path], *, captioner: str | None = None, knowledge_model: str | None = None
) -> Iterator[Example]:
    """The training posts of other corpora, and those without a split, with their captions and knowledge.

    Their ids begin with the corpus's name. Raises `UsageError` for two corpora of one name, and what
    `Corpus.from_path` raises.
    """
    by_name: dict[str, Path] = {}
    for path in paths:
        if (name := embedded(path).resolve().name) in by_name:
            raise UsageError(f"training_set.unlabelled: {path} and {by_name[name]} have one name; rename a directory")
        by_name[name] = path
        corpus = Corpus.from_path(path, captioner=captioner, knowledge_model=knowledge_model)
        for post in (*corpus.train, *corpus.unsplit):
            yield replace(post, id=f"{name}/{post.id}")


def apart_from_held_out(posts: Sequence[Example], corpus: Corpus) -> tuple[Example, ...]:
    """The posts that are no near-duplicate of a dev or test post of the corpus; how many are left out is logged."""
    leaks = {overlap.second for overlap in similar_texts((*corpus.dev, *corpus.test), posts)}
    if leaks:
        logger.info("%d unlabelled posts are near-duplicates of dev or test posts and left out", len(leaks))
    return tuple(post for number, post in enumerate(posts) if number not in leaks)


def split_alike(posts: Sequence[Example], corpus: Corpus) -> tuple[Example, ...]:
    """The posts split into words as a corpus's own are; what has entities or pairs stays, for they count words."""
    rule = best_rule(corpus.train if posts else ())
    return tuple(post if post.annotations else _resplit(post, rule) for post in posts)


def _resplit(post: Example, rule: Rule) -> Example:
    words = tuple(word.text for word in split_words(as_typed(post.words), rule))
    return replace(post, words=words or post.words)
