"""Training examples without labels, from other corpora."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from cotpd.core.errors import UsageError
from cotpd.core.files import real_path
from cotpd.core.overlap import similar_texts
from cotpd.core.records import Example
from cotpd.core.splitting import Rule, as_typed, best_rule, split_words
from cotpd.corpus.corpus import Corpus
from cotpd.corpus.splits import located

logger = logging.getLogger(__name__)


def read_unlabelled(
    paths: Iterable[Path], *, captioner: str | None = None, knowledge_model: str | None = None
) -> Iterator[Example]:
    """Yield the training and unsplit examples of other corpora, with captions and knowledge.

    Their ids are prefixed with the name of their corpus.

    Args:
        paths: The corpora.
        captioner: The captioner whose captions are used. By default the first one of each corpus.
        knowledge_model: The language model whose knowledge is used. By default the first one of each corpus.

    Raises:
        DataError: At the first error in a file.
        UsageError: If two corpora have the same name, or if the captioner or language model has no rows.
    """
    by_name: dict[str, Path] = {}
    for path in paths:
        if (name := real_path(located(path)).name) in by_name:
            other = by_name[name]
            raise UsageError(f"training_set.unlabelled: {path} and {other} have the same name; rename one of them")
        by_name[name] = path
        corpus = Corpus.from_path(path, captioner=captioner, knowledge_model=knowledge_model)
        for example in (*corpus.train, *corpus.unsplit):
            yield replace(example, id=f"{name}/{example.id}")


def drop_near_duplicates(examples: Sequence[Example], corpus: Corpus) -> tuple[Example, ...]:
    """Remove examples that are near-duplicates of dev or test examples of a corpus, and log their number."""
    leaks = {pair.second for pair in similar_texts((*corpus.dev, *corpus.test), examples)}
    if leaks:
        logger.info("removed %d unlabelled posts that are near-duplicates of dev or test posts", len(leaks))
    return tuple(example for number, example in enumerate(examples) if number not in leaks)


def retokenize_like(examples: Sequence[Example], corpus: Corpus) -> tuple[Example, ...]:
    """Tokenise examples like the training examples of a corpus, unless they have spans, whose offsets count words."""
    rule = best_rule(corpus.train if examples else ())
    return tuple(example if example.annotations else _retokenize(example, rule) for example in examples)


def _retokenize(example: Example, rule: Rule) -> Example:
    words = tuple(word.text for word in split_words(as_typed(example.words), rule))
    return replace(example, words=words or example.words)
