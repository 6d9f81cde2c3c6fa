"""The evaluation of a loaded student on given examples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from cotpd.core.config import Task
from cotpd.core.errors import UsageError
from cotpd.core.pairs import group_by_post
from cotpd.core.records import Example, Prediction, Relation, Span
from cotpd.evaluation import evaluate
from cotpd.evaluation.matching import DEFAULT_MODE, Mode
from cotpd.evaluation.report import Report, secondary_scores
from cotpd.evaluation.scores import Scores
from cotpd.evaluation.tasks import SCORING, exact_rule
from cotpd.inference.candidates import candidate_pairs
from cotpd.inference.decoding import decode
from cotpd.student.student import Student
from cotpd.views.view import ViewKind

EvaluationProgress = Callable[[int, int], None]
"""Receives the number of predicted examples and the number of all examples."""


@dataclass(frozen=True, slots=True)
class EvaluationSet:
    """Examples to evaluate a student on.

    Attributes:
        gold: The examples with their gold labels.
        inputs: What the student reads, one input for each gold example and with the same id. They differ from ``gold``
            where the student classifies other pairs of entities than the corpus states.
        train: Training examples, which separate seen from unseen entities; may be empty.
    """

    gold: tuple[Example, ...]
    inputs: tuple[Example, ...]
    train: tuple[Example, ...] = ()

    @classmethod
    def as_stated(cls, examples: Iterable[Example], *, train: Iterable[Example] = ()) -> EvaluationSet:
        """Return a set in which the student reads the examples as they are."""
        gold = tuple(examples)
        return cls(gold, gold, tuple(train))


def evaluate_student(
    student: Student,
    examples: EvaluationSet,
    *,
    view: ViewKind | None = None,
    mode: Mode = DEFAULT_MODE,
    progress: EvaluationProgress | None = None,
) -> Report:
    """Score a student on examples and return the full report of its task.

    Args:
        view: The view that the student reads; by default its deployed view.
        mode: Whether gold entities that begin with an ``I-`` tag count.
        progress: Called after each predicted example.

    Raises:
        UsageError: If the student cannot read this view.
        DataError: If two examples have the same id, or there are no examples.
    """
    kind = view or student.design.deployed_view
    predictions = list(_with_progress(decode(student, examples.inputs, kind=kind), len(examples.gold), progress))
    return _report(student.design.task, predictions, examples, mode)


def score_student(
    student: Student, examples: Sequence[Example], *, view: ViewKind, mode: Mode = DEFAULT_MODE, resamples: int = 10_000
) -> Scores:
    """Score a student on examples by the exact rule of its task; ``resamples=0`` computes no interval."""
    predictions = decode(student, examples, kind=view)
    return evaluate(predictions, examples, mode=mode, rule=exact_rule(student.design.task), resamples=resamples)


def all_pairs_set(
    student: Student, examples: Iterable[Example], *, entity_finder: Student | None = None
) -> EvaluationSet:
    """Return a set in which a student classifies all ordered pairs of the entities of each example.

    Examples with the same words and image become one example.

    Args:
        student: A student trained on relations.
        examples: The examples with gold relations.
        entity_finder: A student that finds the entities; by default the gold entities are used.

    Raises:
        UsageError: If ``student`` was not trained on relations, or ``entity_finder`` not on entities.
    """
    _require_task(student, "relations", "only such a run classifies pairs of entities")
    gold = group_by_post(examples)
    if entity_finder:
        _require_task(entity_finder, "entities", "only such a run finds entities")
        with_spans = zip(gold, _predicted_spans(entity_finder, gold), strict=True)
        inputs = tuple(
            _with_pairs(example, candidate_pairs(student.reader, example.words, spans)) for example, spans in with_spans
        )
    else:
        inputs = tuple(_with_gold_pairs(student, example) for example in gold)
    return EvaluationSet(gold, inputs)


def _report(task: Task, predictions: Sequence[Prediction], examples: EvaluationSet, mode: Mode) -> Report:
    gold, scoring = examples.gold, SCORING[task]
    return Report(
        evaluate(scoring.scorable(predictions, gold), gold, mode=mode, rule=scoring.rule),
        secondary_scores(predictions, gold, task=task, mode=mode, train=examples.train),
        co_occurrence=scoring.co_occurrence(predictions, gold),
    )


def _with_progress(
    predictions: Iterator[Prediction], total: int, progress: EvaluationProgress | None
) -> Iterator[Prediction]:
    for number, prediction in enumerate(predictions, 1):
        yield prediction
        if progress:
            progress(number, total)


def _require_task(student: Student, task: Task, reason: str) -> None:
    if student.design.task != task:
        raise UsageError(f"expected a run trained on {task}, got one trained on {student.design.task}; {reason}")


def _predicted_spans(finder: Student, examples: Sequence[Example]) -> Iterator[list[Span]]:
    for prediction in decode(finder, examples, kind=finder.design.deployed_view):
        yield [entity.span for entity in prediction.entities]


def _with_gold_pairs(student: Student, example: Example) -> Example:
    """Return the example with its stated pairs, then all other pairs of its gold entities."""
    stated = {(pair.head, pair.tail) for pair in example.relations}
    spans = [*(entity.span for entity in example.entities), *(span for pair in stated for span in pair)]
    candidates = candidate_pairs(student.reader, example.words, spans)
    others = [pair for pair in candidates if (pair.head, pair.tail) not in stated]
    return _with_pairs(example, [*example.relations, *others])


def _with_pairs(example: Example, pairs: Iterable[Relation]) -> Example:
    return replace(example, entities=(), relations=tuple(pairs))
