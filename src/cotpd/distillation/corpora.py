"""The corpus of a run: one way to read it, for training, evaluation, studies and diagnosis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cotpd.core.config import DataConfig
from cotpd.core.errors import UsageError
from cotpd.core.records import Example
from cotpd.corpus.corpus import Corpus
from cotpd.corpus.splits import CAPTIONS, KNOWLEDGE, sidecar_path
from cotpd.distillation.training_set.unlabelled import read_unlabelled


def read_corpus(config: DataConfig) -> Corpus:
    """The corpus that a configuration names, with its captions and knowledge, and the posts of others to be taught.

    Raises `UsageError` where others are described by another captioner or language model than its own.
    """
    corpus = Corpus.from_path(
        config.path,
        captioner=config.captioner,
        knowledge_model=config.knowledge_model,
        label_map=config.label_map,
        repair=config.repair,
        normalise_words=config.normalise_words,
    )
    others = read_unlabelled(config.unlabelled, captioner=config.captioner, knowledge_model=config.knowledge_model)
    whole = replace(corpus, unlabelled=tuple(others))
    _check_sources(whole.train, whole.unlabelled)
    return whole


def foreign(data: DataConfig, path: Path, *, reads_knowledge: bool = True) -> DataConfig:
    """How the corpus at ``path`` is read as another one was: what it lacks is asked of nobody by name."""
    changes: dict[str, Any] = {"path": path, "unlabelled": ()}
    for key, file in (("captioner", CAPTIONS), ("knowledge_model", KNOWLEDGE)):
        if not reads_knowledge or not sidecar_path(path, file).is_file():
            changes[key] = None
    return data.model_copy(update=changes)


def _check_sources(own: Sequence[Example], others: Sequence[Example]) -> None:
    """Refuse posts of others that are described by what describes none of the own, or by several where none is."""
    for key in ("captioner", "knowledge_model"):
        known, theirs = (set(_sources(posts, key)) for posts in (own, others))
        if len(known | theirs) > 1 and theirs - known:
            names = " and ".join(name or "(unnamed)" for name in sorted(known | theirs))
            raise UsageError(f"data.unlabelled mixes {names}; choose one with data.{key}")


def _sources(posts: Sequence[Example], key: str) -> Iterator[str]:
    """What made the captions, or the knowledge, of posts; rows of a corpus that carry their own name nothing."""
    for post in posts:
        if key == "knowledge_model":
            yield from (answer.model for answer in post.knowledge)
        elif post.caption:
            yield post.caption.captioner
