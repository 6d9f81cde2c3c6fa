"""The evaluation of a finished run on a corpus, which is read with the settings of the run."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple, TypedDict, Unpack

from cotpd.core.config import ExperimentConfig, Part
from cotpd.core.errors import DataError, UsageError
from cotpd.core.files import real_path
from cotpd.core.records import NO_RELATION, Example
from cotpd.core.tasks import ANNOTATIONS
from cotpd.corpus.corpus import Corpus
from cotpd.distillation.runs.corpora import RunCorpora
from cotpd.evaluation import compare
from cotpd.evaluation.matching import DEFAULT_MODE, Mode
from cotpd.evaluation.report import Report
from cotpd.inference.student_evaluation import EvaluationProgress, EvaluationSet, all_pairs_set, evaluate_student
from cotpd.inference.tasks import DECODERS
from cotpd.student import checkpoint
from cotpd.student.student import Student
from cotpd.views.view import ViewKind, num_without_knowledge

logger = logging.getLogger(__name__)

SplitName = Literal["train", "dev", "test"]


class EvaluationOptions(TypedDict, total=False):
    """The options of `evaluate_run`."""

    split: SplitName | None
    view: str | None
    mode: Mode | None
    against: str | Path | None
    entities_from: str | Path | None
    all_pairs: bool
    progress: EvaluationProgress | None


def evaluate_run(run: str | Path, data: str | Path | None = None, **options: Unpack[EvaluationOptions]) -> Report:
    """Score a finished run on a corpus.

    The corpus is read with the settings of the run: the same label map, word normalisation, captioner and language
    model.

        report = evaluate_run("runs/mine", split="dev", view="knowledge")
        print(report, report.scores.micro_f1)

    Args:
        run: A run directory, or a model directory.
        data: A corpus directory or file; by default the corpus that the run was trained on.
        split: ``"train"``, ``"dev"`` or ``"test"``; by default the only split of the corpus, otherwise ``"dev"``.
        view: ``"text"``, ``"prompt"`` or ``"knowledge"``; by default the deployed view of the run.
        mode: ``"conlleval"`` counts gold entities that begin with an ``I-`` tag, ``"strict"`` does not. By default
            the mode in which the run was scored in training, see `CorpusConfig.score_mode`.
        against: Another run of the same task to compare with. It is scored in its deployed view.
        entities_from: For relations: classify all ordered pairs of the entities that this run finds.
        all_pairs: For relations: classify all ordered pairs of the gold entities.
        progress: Called with the number of predicted examples and the number of all examples.

    Raises:
        UsageError: If the options contradict each other, or do not fit the task or the views of the run.
        DataError: If the corpus cannot be read, or lacks the split or the knowledge that the view reads.
        CheckpointError: If a run is unfinished or damaged.
    """
    if options.get("entities_from") and options.get("all_pairs"):
        raise UsageError("entities_from and all_pairs exclude each other; give only one of them")
    run, against = Path(run), options.get("against")
    if against:
        _require_same_task(run, Path(against))
    split = options.get("split")
    loaded = _LoadedRun.of(run, Path(data) if data else None, options.get("view"), split)
    mode = options.get("mode") or _default_mode(run)
    report = _evaluate(loaded, mode, options)
    if not against:
        return report
    other = _evaluate(_LoadedRun.of(Path(against), loaded.data, None, split), mode, options)
    return replace(report, against=other.facts, comparison=compare(report.scores, other.scores))


def read_scored_corpus(run: Path, data: Path | None = None, *, reads_knowledge: bool = True) -> Corpus:
    """Read a corpus for scoring, with the settings of a run.

    The default settings are used for a model outside of a run, and for a run that was trained on a corpus in memory.

    Args:
        run: A run directory, or a model directory.
        data: A corpus directory or file; by default the corpus that the run was trained on.
        reads_knowledge: Whether captions and knowledge are needed.

    Raises:
        UsageError: If there is no ``data``, and the run does not record the path of its corpus.
    """
    config = _config_of(run)
    if config and config.corpus:
        return RunCorpora().scored(config, data, reads_knowledge=reads_knowledge)
    if data is None:
        raise UsageError(f"{run}: the run does not record the path of its corpus; give the corpus to score on")
    return Corpus.from_path(data)


class _LoadedRun(NamedTuple):
    """A run's student with the examples to score."""

    path: Path
    student: Student
    view: ViewKind
    data: Path
    split: str
    examples: EvaluationSet

    @classmethod
    def of(cls, run: Path, data: Path | None, view: str | None, split: SplitName | None) -> _LoadedRun:
        student = checkpoint.load(_model_directory(run))
        kind = _view_kind(view, student)
        corpus = read_scored_corpus(run, data, reads_knowledge=kind is ViewKind.KNOWLEDGE)
        where = data or (corpus.source.path if corpus.source else Path())
        name, examples = _choose_split(corpus, where, split)
        if kind is ViewKind.KNOWLEDGE:
            _require_knowledge(examples, where, student.design.views.parts)
            _log_cut_knowledge(student, examples)
        _warn_of_gold(student, examples)
        train = () if name == "train" else corpus.train
        return cls(run, student, kind, where, name, EvaluationSet.as_stated(examples, train=train))


def _evaluate(run: _LoadedRun, mode: Mode, options: EvaluationOptions) -> Report:
    facts = {"run": str(run.path), "data": f"{run.data} ({run.split})", "view": run.view.value}
    examples, finder = run.examples, options.get("entities_from")
    if finder or options.get("all_pairs"):
        found_by = checkpoint.load(_model_directory(Path(finder))) if finder else None
        examples = all_pairs_set(run.student, examples.gold, entity_finder=found_by)
        facts["pairs"] = f"of entities found by {finder}" if finder else "of gold entities"
    report = evaluate_student(run.student, examples, view=run.view, mode=mode, progress=options.get("progress"))
    return replace(report, facts=facts)


def _require_same_task(run: Path, against: Path) -> None:
    """Raise `UsageError` if two runs have different tasks, before any predictions are made."""
    task, other = (checkpoint.read_design(_model_directory(path)).task for path in (run, against))
    if task != other:
        raise UsageError(f"{run} was trained on {task} and {against} on {other}; compare runs of the same task")


def _config_of(run: Path) -> ExperimentConfig | None:
    """Return the configuration of a run, also for its ``model`` directory; None for a model outside of a run."""
    model = real_path(run)
    directories = (run, model.parent) if model.name == "model" else (run,)
    found = [directory for directory in directories if (directory / "config.toml").is_file()]
    return ExperimentConfig.of_run(found[0]) if found else None


def _default_mode(run: Path) -> Mode:
    config = _config_of(run)
    return config.corpus.score_mode if config and config.corpus else DEFAULT_MODE


def _model_directory(run: Path) -> Path:
    return run / "model" if (run / "model").is_dir() or (run / "config.toml").is_file() else run


def _view_kind(view: str | None, student: Student) -> ViewKind:
    if view is not None and view not in list(ViewKind):
        raise UsageError(f"unknown view {view!r}; choose one of {', '.join(ViewKind)}")
    return ViewKind(view) if view else student.design.deployed_view


def _choose_split(corpus: Corpus, data: Path, split: SplitName | None) -> tuple[str, tuple[Example, ...]]:
    splits = corpus.splits
    chosen: str = split or (next(iter(splits)) if len(splits) == 1 else "dev")
    if chosen not in splits:
        raise DataError(f"no {chosen} examples; choose the split from {', '.join(splits)}", where=str(data))
    return chosen, splits[chosen]


def _require_knowledge(examples: tuple[Example, ...], data: Path, parts: tuple[Part, ...]) -> None:
    """Raise `DataError` if no example has any of the parts that the student reads; warn if some have none."""
    missing = num_without_knowledge(examples, parts) if parts else 0
    if missing and missing == len(examples):
        raise DataError(
            f"none of the {missing:,} examples has any of {', '.join(parts)}, which the knowledge view reads; put "
            "captions.jsonl or knowledge.jsonl beside the corpus",
            where=str(data),
        )
    if missing:
        logger.warning("%d of %d examples have none of %s", missing, len(examples), ", ".join(parts))


def _log_cut_knowledge(student: Student, examples: tuple[Example, ...]) -> None:
    windows = DECODERS[student.design.task].windows
    by_example = (windows(student, number, example, ViewKind.KNOWLEDGE) for number, example in enumerate(examples))
    if num_cut := sum(any(window.view.num_cut for window in parts) for parts in by_example):
        limit = student.design.views.knowledge_pieces
        logger.info("knowledge was cut to %d pieces in %d of %d examples", limit, num_cut, len(examples))


def _warn_of_gold(student: Student, examples: Iterable[Example]) -> None:
    """Warn if there is no gold, or gold with labels that the student cannot predict."""
    task = student.design.task
    gold = {annotation.label for example in examples for annotation in ANNOTATIONS[task].of(example)}
    if not gold:
        logger.warning("these examples have no gold %s, so all scores are 0", task)
    if unknown := sorted(gold.difference(student.design.labels, {NO_RELATION})):
        logger.warning("gold %s have labels that the student does not know: %s", task, ", ".join(unknown))
