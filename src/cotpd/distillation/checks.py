"""Checks of a training set before training starts, so that a run does not fail at its end."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

from cotpd.core.config import ExperimentConfig
from cotpd.core.errors import DataError
from cotpd.core.records import Example
from cotpd.core.tasks import ANNOTATIONS
from cotpd.corpus.corpus import Corpus
from cotpd.distillation.targets import parts_read
from cotpd.distillation.tasks import LEARNING
from cotpd.distillation.training_set.selection import TrainingSet
from cotpd.student.student import Student
from cotpd.views.view import num_without_knowledge

logger = logging.getLogger(__name__)


def check_training_set(training_set: TrainingSet, corpus: Corpus, config: ExperimentConfig) -> None:
    """Check that a training set is sufficient for a run.

    Raises:
        DataError: If there are no training or dev examples, no labels, none of the knowledge that is read, or no
            variants of a kind that the configuration names.
    """
    _check_labels(training_set, config)
    _check_knowledge(training_set, config)
    _check_variants(corpus, config)


def check_dev(student: Student, dev: Sequence[Example]) -> None:
    """Check that every dev example can be scored.

    Raises:
        DataError: If two examples share an id, or if the encoder cannot read an example.
    """
    repeated = [example_id for example_id, count in Counter(example.id for example in dev).items() if count > 1]
    if repeated:
        raise DataError("two dev examples have this id; give each example its own id", where=repeated[0])
    for example in dev:
        LEARNING[student.design.task].check_dev(example, student.reader)


def _check_labels(training_set: TrainingSet, config: ExperimentConfig) -> None:
    where = _place(config)
    if not training_set.labelled or not training_set.dev:
        num_train, num_dev = len(training_set.labelled), len(training_set.dev)
        raise DataError(
            f"training needs train and dev examples, got {num_train} and {num_dev}; run `cotpd check`", where=where
        )
    annotations = ANNOTATIONS[config.task]
    if not any(annotations.of(example) for example in training_set.labelled):
        raise DataError(f"no training example has {config.task}; run `cotpd check`", where=where)
    if not any(map(annotations.has_gold, training_set.dev)):
        message = f"no dev example has {config.task}, so no score can choose the best weights; run `cotpd check`"
        raise DataError(message, where=where)


def _check_knowledge(training_set: TrainingSet, config: ExperimentConfig) -> None:
    """Raise `DataError` if no example has any of the parts that are read; warn if some have none."""
    own = (_place(config),)
    paths = config.training_set.unlabelled_paths
    groups = (
        ("training examples", training_set.labelled, own),
        ("examples without labels", training_set.unlabelled, tuple(map(str, paths)) or own),
    )
    for parts in filter(None, parts_read(config)):
        names = ", ".join(parts)
        for kind, examples, where in groups:
            num_missing = num_without_knowledge(examples, parts)
            if num_missing and num_missing == len(examples) and config.training_set.corruption != "missing":
                raise DataError(
                    f"none of the {num_missing} {kind} has any of {names} (views.parts); put captions.jsonl or "
                    "knowledge.jsonl beside each corpus, choose other parts, or train with method = 'text-only'",
                    where=", ".join(where),
                )
            if num_missing:
                logger.warning("%d of %d %s have none of %s", num_missing, len(examples), kind, names)


def _check_variants(corpus: Corpus, config: ExperimentConfig) -> None:
    available = {example.origin.kind for example in corpus.augmented if example.origin}
    if missing := [kind for kind in config.training_set.augmentation.kinds if kind not in available]:
        message = f"augmented.jsonl has no variants of kind {', '.join(missing)}; make them with `cotpd augment`"
        raise DataError(message, where=_place(config))


def _place(config: ExperimentConfig) -> str:
    return str(config.corpus.path) if config.corpus else "corpus in memory"
