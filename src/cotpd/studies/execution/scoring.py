"""The scores of a finished run in every view and on every set of examples that the plan names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, get_args

from cotpd.core.errors import CotpdError, DataError
from cotpd.distillation.runs.corpora import RunCorpora, corpus_config
from cotpd.distillation.training_set.selection import labelled_examples
from cotpd.evaluation import evaluate
from cotpd.evaluation.matching import Mode, SeenEntities, surfaces_of
from cotpd.evaluation.scores import Scores
from cotpd.evaluation.tasks import exact_rule
from cotpd.studies.execution.predictions import StoredPredictions
from cotpd.studies.plan.design import PlannedRun, PlannedScore
from cotpd.views.view import ViewKind

LABELLED, OTHER = "labelled", "other"


@dataclass(frozen=True, slots=True)
class RunScore:
    """The score of one run in one view on one set of examples.

    Attributes:
        run: The run.
        planned: What is scored.
        corpus: The path of the corpus.
        scores: The scores in both modes.
        by_training: The scores of entities in the default mode, by their occurrence in the training set: ``LABELLED``
            entities occur in labelled training examples of the run, ``OTHER`` entities only in other training examples
            of the corpus, ``UNSEEN`` entities in none. None for other tasks.
    """

    run: PlannedRun
    planned: PlannedScore
    corpus: Path
    scores: Mapping[Mode, Scores]
    by_training: Scores | None


class RunScores(NamedTuple):
    """All scores of a run, and the reasons why some are missing."""

    scores: tuple[RunScore, ...]
    problems: tuple[str, ...]


def score_run(run: PlannedRun, corpora: RunCorpora) -> RunScores:
    """Score a finished run; a score that fails does not affect the others.

    Examples without captions and knowledge get no score in the knowledge view. It is a problem if a corpus has captions
    or knowledge only from another captioner or language model than the run uses.
    """
    predictions, scores, problems = StoredPredictions(run.path), list[RunScore](), list[str]()
    for planned in run.scores:
        try:
            if score := _score(run, planned, corpora, predictions):
                scores.append(score)
        except (CotpdError, OSError) as error:
            problems.append(f"could not be scored on {planned.name}: {error}")
    return RunScores(tuple(scores), tuple(dict.fromkeys(problems)))


def _score(run: PlannedRun, planned: PlannedScore, corpora: RunCorpora, stored: StoredPredictions) -> RunScore | None:
    is_knowledge = planned.view.kind == "knowledge"
    corpus = corpora.scored(run.config, planned.corpus, reads_knowledge=is_knowledge)
    path = planned.corpus or corpus_config(run.config).path
    examples = corpus.splits.get(planned.split)
    if not examples:
        known = ", ".join(corpus.splits)
        raise DataError(f"no {planned.split} examples to score; choose the split from {known}", where=str(path))
    if is_knowledge and not any(example.caption or example.knowledge for example in examples):
        return None
    visible = planned.view.select(examples)
    predictions = stored.predict(visible, ViewKind(planned.view.kind))
    rule = exact_rule(run.config.task)
    modes: tuple[Mode, ...] = get_args(Mode)
    scores = {mode: evaluate(predictions, visible, mode=mode, rule=rule) for mode in modes}
    training = _training_entities(run, corpora)
    by_training = evaluate(predictions, visible, rule=training) if training else None
    return RunScore(run, planned, path, scores, by_training)


def _training_entities(run: PlannedRun, corpora: RunCorpora) -> SeenEntities | None:
    """Return the rule that groups entities by their occurrence in the training set; None for other tasks."""
    if run.config.task != SeenEntities.task:
        return None
    corpus = corpora.training(run.config)
    labelled = surfaces_of(labelled_examples(corpus, run.config))
    return SeenEntities({LABELLED: labelled, OTHER: surfaces_of(corpus.train)})
