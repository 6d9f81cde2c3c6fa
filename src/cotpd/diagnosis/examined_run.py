"""A finished run with the examples that a diagnosis needs."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path
from typing import Literal

from cotpd.core.config import ExperimentConfig, Part
from cotpd.core.errors import CotpdError, DataError
from cotpd.core.files import read_jsonl
from cotpd.core.records import Example
from cotpd.core.tasks import ANNOTATIONS
from cotpd.distillation.runs.corpora import RunCorpora, corpus_config
from cotpd.distillation.runs.run_directory import RunDirectory
from cotpd.distillation.targets import Targets, read_targets, record_targets, teaching_view
from cotpd.distillation.training_set.selection import TrainingSet, labelled_examples
from cotpd.evaluation import evaluate
from cotpd.evaluation.scores import Scores
from cotpd.evaluation.tasks import exact_rule
from cotpd.inference.decoding import decode
from cotpd.student import checkpoint
from cotpd.student.student import Student
from cotpd.views.view import ViewKind, num_without_knowledge

logger = logging.getLogger(__name__)

_MAX_TRAIN = 500
"""The number of training examples to score, which is enough for a mean."""


@dataclass(frozen=True, slots=True)
class ExaminedRun:
    """A finished run with the examples that it is examined on.

    Attributes:
        path: The run directory.
        config: The configuration, with the current paths of the corpus and of the target runs.
        student: The trained student.
        examples: The held-out examples.
        train: The training examples.
    """

    path: Path
    config: ExperimentConfig
    student: Student
    examples: tuple[Example, ...]
    train: tuple[Example, ...]

    @classmethod
    def load(cls, run: Path, corpus: Path | None, split: Literal["dev", "test"], corpora: RunCorpora) -> ExaminedRun:
        """Load a run and its examples, except examples that are longer than the encoder allows.

        Args:
            run: The run directory.
            corpus: The corpus to examine the run on; by default its training corpus.
            split: The split to examine the run on.
            corpora: The corpora that were read so far.

        Raises:
            CheckpointError: If the run is not finished.
            DataError: If the split has no examples.
        """
        student, saved = checkpoint.load(run / "model"), ExperimentConfig.of_run(run)
        config = _with_current_paths(saved, run, corpus)
        training_path, saved_path = corpus_config(config).path, corpus_config(saved).path
        training_corpus = corpora.scored(config, training_path)
        if training_path != saved_path and _has_changed(config, run, corpora):
            message = (
                "%s: the training corpus %s was not found, and %s has other examples, captions or knowledge, so "
                "figures on training examples are unreliable"
            )
            logger.warning(message, run, saved_path, corpus)
        path = corpus or training_path
        examples = _readable_units(student, corpora.scored(config, path).splits.get(split, ()))
        if not examples:
            raise DataError(f"no {split} examples to examine", where=str(path))
        return cls(run, config, student, examples, _readable_units(student, labelled_examples(training_corpus, config)))

    @property
    def deployed_view(self) -> ViewKind:
        """The view that inference uses."""
        return self.student.design.deployed_view

    @property
    def train_sample(self) -> tuple[Example, ...]:
        """About 500 training examples, evenly spaced."""
        return self.train[:: max(1, len(self.train) // _MAX_TRAIN)]

    @property
    def lacks_knowledge(self) -> bool:
        """Whether no example has any part of the knowledge that the student reads."""
        return all_lack_knowledge(self.examples, self.student.design.views.parts)

    def scores(self, view: ViewKind) -> Scores:
        """Return the scores of a view on the examples, in the mode in which the run is evaluated."""
        predictions = decode(self.student, self.examples, kind=view)
        mode, rule = corpus_config(self.config).score_mode, exact_rule(self.config.task)
        return evaluate(predictions, self.examples, mode=mode, rule=rule, resamples=0)

    def with_examples(self, examples: Sequence[Example]) -> ExaminedRun:
        """Return the run with other examples."""
        return replace(self, examples=tuple(examples))

    def target_runs(self) -> list[ExaminedRun]:
        """Return the runs that gave the recorded targets, on the same examples."""
        runs = self.config.objective.target_runs
        return [replace(self, path=run, student=checkpoint.load(run / "model")) for run in runs]

    def targets(self, examples: Sequence[Example]) -> Targets:
        """Return the distributions of the target for the examples."""
        objective = self.config.objective
        if objective.target == "recorded":
            return read_targets(objective.target_runs, examples, self.student)
        return record_targets(self.student, examples, kind=ViewKind(objective.target))

    def target_scores(self) -> Scores:
        """Return the scores of the target view. With several target runs, return the scores with the median F1."""
        objective = self.config.objective
        if objective.target != "recorded":
            return self.scores(ViewKind(objective.target))
        scores = [run.scores(teaching_view(run.path)) for run in self.target_runs()]
        return sorted(scores, key=attrgetter("micro_f1"))[len(scores) // 2]

    def losses(self, name: Literal["task_loss", "alignment_loss"]) -> list[float]:
        """Return the losses in the order of training, or an empty list if the run has no metrics."""
        path = self.path / "metrics.jsonl"
        rows = (row for _, row in read_jsonl(path)) if path.is_file() else ()
        return [float(row[name]) for row in rows if name in row]


def all_lack_knowledge(examples: Sequence[Example], parts: Sequence[Part]) -> bool:
    """Return True if no example has any of ``parts``. Always False for empty ``parts``."""
    return bool(parts) and num_without_knowledge(examples, parts) == len(examples)


def _with_current_paths(config: ExperimentConfig, run: Path, corpus: Path | None) -> ExperimentConfig:
    """Replace the paths of target runs that were moved together with the run, and of a missing training corpus."""
    target_runs = tuple(
        moved if not target.exists() and (moved := run.parent / target.name).exists() else target
        for target in config.objective.target_runs
    )
    source = corpus_config(config)
    path = source.path if source.path.exists() or not corpus else corpus
    return config.model_copy(
        update={
            "corpus": source.model_copy(update={"path": path}),
            "objective": config.objective.model_copy(update={"target_runs": target_runs}),
        }
    )


def _has_changed(config: ExperimentConfig, run: Path, corpora: RunCorpora) -> bool:
    """Return whether the run was trained on other examples; False if this cannot be determined."""
    try:
        training_set = TrainingSet.of(corpora.training(config), config)
        return RunDirectory(run).data not in (None, training_set.fingerprint(config))
    except CotpdError:
        return False


def _readable_units(student: Student, examples: Sequence[Example]) -> tuple[Example, ...]:
    """Return the examples that fit into the encoder; for relations, one for each pair."""
    max_pieces = student.reader.max_text_pieces - 4
    fitting = (example for example in examples if sum(map(len, student.reader.pieces.of(example.words))) <= max_pieces)
    return tuple(ANNOTATIONS[student.design.task].units(fitting))
