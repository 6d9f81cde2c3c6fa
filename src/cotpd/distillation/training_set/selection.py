"""The training set of a run: the examples of a corpus, selected and changed as configured."""

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
from cotpd.distillation.training_set.corruption import corrupt_knowledge
from cotpd.distillation.training_set.folds import without_fold
from cotpd.distillation.training_set.reversed_pairs import add_reversed_pairs
from cotpd.distillation.training_set.unlabelled import drop_near_duplicates, retokenize_like
from cotpd.distillation.training_set.variants import select_variants


class TrainingSet(NamedTuple):
    """What a run learns from, and the dev examples that choose its best weights.

    Attributes:
        labelled: Examples used with their labels.
        unlabelled: Examples used without their labels; their only target is the teacher's distribution.
        dev: The dev examples.
        labels: Every label of the corpus.
    """

    labelled: tuple[Example, ...]
    unlabelled: tuple[Example, ...]
    dev: tuple[Example, ...]
    labels: tuple[str, ...]

    @classmethod
    def of(cls, corpus: Corpus, config: ExperimentConfig) -> TrainingSet:
        """Select the training set of a run from its corpus."""
        labels = (*corpus.label_set.types, *relation_labels(corpus.examples))
        return cls(labelled_examples(corpus, config), unlabelled_examples(corpus, config), corpus.dev, labels)

    def fingerprint(self, config: ExperimentConfig) -> str:
        """Return a hash of the examples, the labels and the teachers.

        Resumed runs and studies compare it to detect changed data.

        Raises:
            CheckpointError: If a teacher's model is damaged.
        """
        for run in config.objective.target_runs:
            verify_directory(run / "model", advice=f"move {run} away and train it again")
        teachers = [hash_file(run / "model" / MANIFEST) for run in config.objective.target_runs]
        return hash_text(*map(str, (*self.labelled, *self.unlabelled, *self.dev)), *self.labels, *teachers)


def labelled_examples(corpus: Corpus, config: ExperimentConfig) -> tuple[Example, ...]:
    """Return the training examples that a run uses with their labels.

    In this order: corrupt the knowledge, take the share, hold out the fold, add variants, add reversed pairs.
    """
    settings = config.training_set
    train, _ = _take_share(corrupt_knowledge(corpus.train, settings, seed=config.seed), config)
    train = without_fold(train, settings.fold)
    train = (*train, *select_variants(train, corpus, settings.augmentation, seed=config.seed))
    return add_reversed_pairs(train, settings.reversed_pairs, relation_labels(corpus.examples))


def unlabelled_examples(corpus: Corpus, config: ExperimentConfig) -> tuple[Example, ...]:
    """Return the examples that a run uses without their labels, from other corpora and from the rest of its own."""
    settings = config.training_set
    without_labels = ANNOTATIONS[config.task].without_labels
    others, own = (corrupt_knowledge(part, settings, seed=config.seed) for part in (corpus.unlabelled, corpus.train))
    foreign = drop_near_duplicates([without_labels(example) for example in others], corpus)
    rest = _take_share(own, config)[1] if settings.uses_rest else ()
    return (*retokenize_like(foreign, corpus), *map(without_labels, rest))


def _take_share(train: Sequence[Example], config: ExperimentConfig) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """Return the first examples of a seeded order, and the rest. Smaller shares are subsets of larger ones."""
    order = np.random.default_rng(config.seed).permutation(len(train))
    size = max(1, round(len(train) * config.training_set.share))
    chosen, rest = (tuple(train[index] for index in sorted(part)) for part in (order[:size], order[size:]))
    return chosen, rest
