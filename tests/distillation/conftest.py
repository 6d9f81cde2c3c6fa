"""A small corpus and configuration for training in seconds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cotpd.core.config import ExperimentConfig
from cotpd.corpus.corpus import Corpus
from cotpd.distillation.recipe import build_student
from cotpd.distillation.training_batches import TrainingBatches
from cotpd.distillation.training_set.selection import TrainingSet
from cotpd.student.student import Student


@pytest.fixture(scope="session")
def corpus() -> Corpus:
    """A part of the sample corpus."""
    sample = Corpus.sample()
    return Corpus(train=sample.train[:24], dev=sample.dev[:10])


@pytest.fixture(scope="session")
def configure(tiny_encoder: Path) -> Callable[..., ExperimentConfig]:
    """Make a configuration of the tiny encoder; keyword arguments change keys and sections."""

    def make(**sections: Any) -> ExperimentConfig:
        values: dict[str, Any] = {
            "student": {"encoder": str(tiny_encoder)},
            "optimisation": {"epochs": 2, "batch_size": 8, "precision": "float32"},
        }
        for name, section in sections.items():
            values[name] = {**values.get(name, {}), **section} if isinstance(section, dict) else section
        return ExperimentConfig.of(values)

    return make


@pytest.fixture
def make_batches(
    corpus: Corpus, configure: Callable[..., ExperimentConfig]
) -> Callable[..., tuple[Student, TrainingBatches]]:
    """Return a student and its training batches."""

    def make(**sections: dict[str, Any]) -> tuple[Student, TrainingBatches]:
        config = configure(**sections)
        student = build_student(TrainingSet.of(corpus, config), corpus, config)
        return student, TrainingBatches(student, corpus.train, config)

    return make
