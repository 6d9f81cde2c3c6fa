"""What a run learns from: the posts of a corpus, chosen and changed as a configuration says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cotpd.core.config import ExperimentConfig
from cotpd.core.files import MANIFEST, hash_file, hash_text, verify_directory
from cotpd.core.pairs import relation_labels
from cotpd.core.records import Example
from cotpd.core.tasks import ANNOTATIONS
from cotpd.corpus.corpus import Corpus
from cotpd.distillation.training_set.corruption import corrupted
from cotpd.distillation.training_set.folds import without_fold
from cotpd.distillation.training_set.reversed_pairs import with_reversed_pairs
from cotpd.distillation.training_set.unlabelled import drop_near_duplicates, retokenize_like
from cotpd.distillation.training_set.variants import select_variants


class Material(NamedTuple):
    """The posts that a run learns from with their labels, those it is taught without, those it is scored on.

    ``labels``: every label of the corpus, of entities and relations.
    """

    train: tuple[Example, ...]
    unlabelled: tuple[Example, ...]
    dev: tuple[Example, ...]
    labels: tuple[str, ...]

    @classmethod
    def of(cls, corpus: Corpus, config: ExperimentConfig) -> Material:
        """The material that a configuration makes of a corpus."""
        labels = (*corpus.label_set.types, *relation_labels(corpus.examples))
        return cls(training_posts(corpus, config), unlabelled_posts(corpus, config), corpus.dev, labels)

    def fingerprint(self, config: ExperimentConfig) -> str:
        """A hash of all this and of the targets, by which `--resume` and studies see that it is the same.

        Raises `CheckpointError` for a target that is damaged.
        """
        for run in config.objective.target_runs:
            verify_directory(run / "model", advice=f"move {run} away and make it again")
        targets = [hash_file(run / "model" / MANIFEST) for run in config.objective.target_runs]
        return hash_text(*map(str, (*self.train, *self.unlabelled, *self.dev)), *self.labels, *targets)


def training_posts(corpus: Corpus, config: ExperimentConfig) -> tuple[Example, ...]:
    """The posts that a run learns from: a share, without a fold, with damaged knowledge, with variants, as is set."""
    train, _ = _shared(corrupted(corpus.train, config.data, seed=config.seed), config)
    train = without_fold(train, config.data.left_out)
    train = (*train, *select_variants(train, corpus, config.data.augmentation, seed=config.seed))
    return with_reversed_pairs(train, config.data.reversed_pairs, relation_labels(corpus.examples))


def unlabelled_posts(corpus: Corpus, config: ExperimentConfig) -> tuple[Example, ...]:
    """The posts that a run is taught without labels: of other corpora, and the rest of its own, as is set."""
    others, own = (corrupted(posts, config.data, seed=config.seed) for posts in (corpus.unlabelled, corpus.train))
    without_labels = ANNOTATIONS[config.task].without_labels
    foreign = drop_near_duplicates([without_labels(post) for post in others], corpus)
    rest = _shared(own, config)[1] if config.data.rest_unlabelled else ()
    return (*retokenize_like(foreign, corpus), *map(without_labels, rest))


def _shared(train: Sequence[Example], config: ExperimentConfig) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """The first posts of a seeded order, so that smaller shares are part of larger ones, and the rest."""
    order = np.random.default_rng(config.seed).permutation(len(train))
    most = max(1, round(len(train) * config.data.train_share))
    first, rest = (tuple(train[index] for index in sorted(part)) for part in (order[:most], order[most:]))
    return first, rest
