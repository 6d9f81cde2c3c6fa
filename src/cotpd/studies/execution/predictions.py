"""Finished runs scored in every view that a plan asks for; what was predicted is kept in the run's directory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple, get_args

from cotpd.core.config import DataConfig
from cotpd.core.errors import CotpdError, DataError
from cotpd.core.files import MANIFEST, hash_file, hash_text, read_jsonl, write_jsonl
from cotpd.core.labels import Repair
from cotpd.core.records import Example, Prediction
from cotpd.core.tasks import ANNOTATIONS
from cotpd.corpus.corpus import Corpus
from cotpd.distillation.corpora import foreign, read_corpus
from cotpd.distillation.training_set.selection import training_posts
from cotpd.evaluation import evaluate
from cotpd.evaluation.matching import Mode, SeenEntities, surfaces_of
from cotpd.evaluation.scores import Scores
from cotpd.evaluation.tasks import exact_rule
from cotpd.inference.decoding import decode
from cotpd.student import checkpoint
from cotpd.student.student import Student
from cotpd.studies.plan.expansion import PlannedRun
from cotpd.studies.plan.plan import Plan, ScoredView, ScorePlan
from cotpd.views.view import ViewKind

LABELLED, OTHER = "labelled", "other"


@dataclass(frozen=True, slots=True)
class Cell:
    """One run in one view on one set of posts, scored in both modes.

    ``by_training``: in the plan's mode, by what training shows of an entity: LABELLED ones are entities of the posts
    that the run learns with labels, OTHER ones of the corpus's other training posts, UNSEEN ones of none.
    """

    run: PlannedRun
    score: str
    view: ScoredView
    data: Path
    scores: Mapping[Mode, Scores]
    by_training: Scores | None


class Corpora:
    """Corpora by the settings that they are read with, each read once."""

    def __init__(self) -> None:
        self._found: dict[str, Corpus] = {}

    def of(self, data: DataConfig) -> Corpus:
        """The corpus of these settings."""
        read_by = {"path", "captioner", "knowledge_model", "label_map", "repair", "normalise_words", "unlabelled"}
        key = data.model_dump_json(include=read_by)
        if key not in self._found:
            self._found[key] = read_corpus(data)
        return self._found[key]


class Scored(NamedTuple):
    """The cells of a run; ``reasons`` say what could not be scored, and why."""

    cells: tuple[Cell, ...]
    reasons: tuple[str, ...]


def scored(run: PlannedRun, plan: Plan, corpora: Corpora) -> Scored:
    """Score a finished run on every set of posts; what fails on one of them leaves the others as they are.

    A view that the run cannot read, or that these posts cannot give, has no cell; so has one of knowledge by another
    captioner or language model than the run names, and the reason is told.
    """
    reading, cells, reasons = _Reading(run.path), list[Cell](), list[str]()
    for name, score in plan.scores.items():
        if run.fold or (score.runs and run.name not in score.runs):
            continue
        for view in _views(run, name, plan):
            try:
                if cell := _cell(run, name, view, plan, corpora, reading):
                    cells.append(cell)
            except (CotpdError, OSError) as error:
                reasons.append(f"could not be scored on {name}: {error}")
    return Scored(tuple(cells), tuple(dict.fromkeys(reasons)))


def _cell(
    run: PlannedRun, score: str, view: ScoredView, plan: Plan, corpora: Corpora, reading: _Reading
) -> Cell | None:
    data, posts = _posts(run, plan.scores[score], view, corpora)
    if view.kind == "knowledge" and not any(post.caption or post.knowledge for post in posts):
        return None
    shown, names = shown_in(view, posts), _names(run, corpora)
    predictions = reading.predictions(shown, view)
    told = evaluate(predictions, shown, mode=plan.mode, rule=names) if names else None
    return Cell(run, score, view, data, _scores(predictions, shown, run), told)


def shown_in(view: ScoredView, posts: Sequence[Example]) -> tuple[Example, ...]:
    """The posts without the parts that the view leaves out, and without all knowledge where it reads none."""
    if view.kind != "knowledge":
        return tuple(replace(post, caption=None, knowledge=()) for post in posts)
    return tuple(
        replace(
            post,
            caption=None if "caption" in view.without else post.caption,
            knowledge=tuple(answer for answer in post.knowledge if answer.grain not in view.without),
        )
        for post in posts
    )


class _Reading:
    """A run's predictions, made once and kept, where the run may be written; the student is loaded when needed."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._loaded: Student | None = None

    def predictions(self, posts: Sequence[Example], view: ScoredView) -> list[Prediction]:
        content = hash_text(str(view.kind), hash_file(self._run / "model" / MANIFEST), *map(str, posts))
        path = self._run / f"predictions.{view.kind}-{content[:16]}.jsonl"
        if path.exists():
            return list(read_predictions(path))
        found = list(decode(self._student, posts, kind=ViewKind(view.kind)))
        if os.access(self._run, os.W_OK):
            write_jsonl(path, map(asdict, found))
        return found

    @property
    def _student(self) -> Student:
        if self._loaded is None:
            self._loaded = checkpoint.load(self._run / "model")
        return self._loaded


def read_predictions(path: Path) -> Iterator[Prediction]:
    """The predictions of a file, as `distill` writes them. Raises `DataError` with file:line for another row."""

    def damaged(defect: DataError) -> None:
        raise DataError(f"{defect}; remove the file, and the posts are read again")

    for where, row in read_jsonl(path, on_defect=damaged):
        try:
            prediction = Prediction(row["id"], tuple(row["words"]))
            for task in ANNOTATIONS.values():
                annotations = [task.from_row(values) for values in row.get(task.key, ())]
                prediction = task.replaced(prediction, annotations)
            yield prediction
        except (KeyError, TypeError, ValueError) as error:
            damaged(DataError(f"not a prediction ({error})", where=where))


def _posts(run: PlannedRun, score: ScorePlan, view: ScoredView, corpora: Corpora) -> tuple[Path, tuple[Example, ...]]:
    """The posts of a score as the run reads posts; orphans are kept, for the mode decides."""
    data = run.config.data.model_copy(update={"repair": Repair.CONLLEVAL, "unlabelled": ()})
    if score.data:
        data = foreign(data, score.data, reads_knowledge=view.kind == "knowledge")
    posts = corpora.of(data).splits.get(score.split)
    if not posts:
        raise DataError(f"no {score.split} posts to score", where=str(data.path))
    return data.path, posts


def _names(run: PlannedRun, corpora: Corpora) -> SeenEntities | None:
    """The names of the run's training posts; None of a run of another task."""
    if run.config.task != SeenEntities.task:
        return None
    corpus = corpora.of(run.config.data)
    labelled = surfaces_of(training_posts(corpus, run.config))
    return SeenEntities({LABELLED: labelled, OTHER: surfaces_of(corpus.train)})


def _views(run: PlannedRun, score: str, plan: Plan) -> list[ScoredView]:
    """The views asked for, the one that ships, and those compared; without prompts there is no prompt-enhanced one."""
    ships = run.config.objective.student
    asked = map(ScoredView.of, (*plan.scores[score].views, ships, *plan.compared_views(run.name, score)))
    return [view for view in dict.fromkeys(asked) if view.kind != "prompt" or ships == "prompt"]


def _scores(predictions: Sequence[Prediction], posts: Sequence[Example], run: PlannedRun) -> dict[Mode, Scores]:
    rule = exact_rule(run.config.task)
    modes: tuple[Mode, ...] = get_args(Mode)
    return {mode: evaluate(predictions, posts, mode=mode, rule=rule) for mode in modes}
