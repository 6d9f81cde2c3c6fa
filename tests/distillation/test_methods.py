"""Tests of `distill` as a whole first call: methods, teachers, and the corpus that a run belongs to."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cotpd.core.config import CorpusConfig, ExperimentConfig
from cotpd.core.errors import UsageError
from cotpd.core.tasks import task_of
from cotpd.corpus.corpus import Corpus
from cotpd.distillation.recipe import _bind_to_corpus, _teacher_config, distill
from cotpd.distillation.training_set.selection import TrainingSet

Configure = Callable[..., ExperimentConfig]


@pytest.mark.slow
def test_two_stage_run_trains_its_teacher_first(corpus: Corpus, configure: Configure, tmp_path: Path) -> None:
    config = configure(
        method="two-stage", training_set={"share": 0.5, "unlabelled": ["rest"]}, optimisation={"epochs": 1}
    )
    distill(corpus, config=config, out=tmp_path / "run")
    teacher, student = (ExperimentConfig.of_run(tmp_path / name) for name in ("run-teacher", "run"))
    assert (teacher.method, teacher.objective.student) == ("knowledge-only", "knowledge")
    assert teacher.training_set.unlabelled == ()
    assert teacher.optimisation.epochs == 2, "the teacher gets as many updates as the student"
    assert student.objective.target_runs == (tmp_path / "run-teacher",)
    other = configure(method="two-stage", training_set={"share": 0.5, "unlabelled": ["rest"]}, seed=5)
    with pytest.raises(UsageError, match="this teacher has another configuration"):
        distill(corpus, config=other, out=tmp_path / "run")


@pytest.mark.slow
def test_keyword_settings_form_a_configuration(corpus: Corpus, tiny_encoder: Path, tmp_path: Path) -> None:
    distill(corpus, method="text-only", encoder=str(tiny_encoder), epochs=1, seed=3, out=tmp_path / "run")
    config = ExperimentConfig.of_run(tmp_path / "run")
    assert (config.method, config.task, config.seed) == ("text-only", "entities", 3)
    assert (config.optimisation.epochs, config.objective.target) == (1, "none")
    assert config.corpus is None, "a corpus in memory has no path"


def test_default_task_is_the_one_that_the_corpus_has_labels_for(corpus: Corpus) -> None:
    assert task_of(corpus.train) == "entities"
    only_pairs = tuple(replace(example, entities=()) for example in corpus.train)
    assert task_of(only_pairs) == "relations"


def test_teacher_of_few_labels_trains_at_most_twenty_epochs(corpus: Corpus, configure: Configure) -> None:
    config = configure(
        method="self-training", training_set={"share": 0.1, "unlabelled": ["rest"]}, optimisation={"epochs": 4}
    )
    teacher = _teacher_config(config, TrainingSet.of(corpus, config))
    assert (teacher.method, teacher.optimisation.epochs, teacher.optimisation.patience) == ("text-only", 20, 20)
    config = configure(method="self-training", optimisation={"epochs": 4})
    teacher = _teacher_config(config, TrainingSet.of(corpus, config))
    assert (teacher.optimisation.epochs, teacher.optimisation.patience) == (4, 3)


def test_corpus_must_be_the_one_that_the_configuration_names(corpus: Corpus, configure: Configure) -> None:
    named = CorpusConfig(path=Path("data/mine"), label_map={"OTHER": "MISC"})
    read = replace(corpus, source=named)
    assert _bind_to_corpus(read, configure()).corpus == named
    assert _bind_to_corpus(corpus, configure()).corpus is None
    for source in (None, CorpusConfig(path=Path("data/mine"))):
        with pytest.raises(UsageError, match=r"read with other settings than \[corpus\]"):
            _bind_to_corpus(replace(corpus, source=source), configure(corpus=named.model_dump()))
    with pytest.raises(UsageError, match="unlabelled lists"):
        _bind_to_corpus(read, configure(method="two-stage", training_set={"unlabelled": ["data/more"]}))
