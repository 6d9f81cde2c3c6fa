"""The demonstration: train a baseline and a distilled student on the sample corpus, and compare them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from cotpd.core.config import ExperimentConfig, Task
from cotpd.core.errors import UsageError
from cotpd.core.methods import Method
from cotpd.corpus.corpus import Corpus
from cotpd.corpus.splits import sample_path
from cotpd.distillation.progress import Listener
from cotpd.distillation.recipe import distill
from cotpd.distillation.showcase.entity_demo import extract_entities
from cotpd.distillation.showcase.relation_demo import extract_relations
from cotpd.evaluation import Comparison, compare
from cotpd.evaluation.scores import Scores
from cotpd.inference.predictor import TrainedStudent
from cotpd.inference.student_evaluation import score_student
from cotpd.student.student import Student
from cotpd.views.view import ViewKind


class DemoCorpus(NamedTuple):
    """The sample corpus was read."""

    corpus: Corpus


class DemoRun(NamedTuple):
    """One of the two runs begins, or exists already.

    Attributes:
        name: ``"baseline"`` or ``"student"``.
        path: Its run directory.
        is_trained: Whether it exists already and is only loaded.
    """

    name: str
    path: Path
    is_trained: bool


@dataclass(frozen=True, slots=True)
class DemoScores:
    """The scores of both runs on the test examples.

    Attributes:
        by_view: The scores of ``"baseline"``, and of the student in its ``"prompt"`` and ``"knowledge"`` view.
        comparison: The student's prompt view against the baseline.
    """

    by_view: Mapping[str, Scores]
    comparison: Comparison


class DemoExtractions(NamedTuple):
    """What the extractor of the task finds in a few new texts."""

    extractions: tuple[Any, ...]


DemoEvent = DemoCorpus | DemoRun | DemoScores | DemoExtractions


def run_demo(
    out: str | Path = "runs/demo",
    *,
    encoder: str = "minilm",
    epochs: int | None = None,
    task: Task = "entities",
    listener: Listener = lambda _: None,
) -> Iterator[DemoEvent]:
    """Train a text-only baseline and a distilled student on the sample corpus; yield each result as it is known.

    Runs that exist in ``out`` are loaded, and interrupted ones are resumed.

    Args:
        out: The directory of both runs.
        encoder: A Hugging Face name, a directory, or ``"minilm"``.
        epochs: Epochs of each run; the default depends on the task.
        task: The task that the students learn.
        listener: Receives the progress of each training.

    Raises:
        UsageError: The sample corpus has no labels for the task.
    """
    if task not in DEMO_TASKS:
        raise UsageError(f"the sample corpus has no labels for {task}; choose {' or '.join(DEMO_TASKS)}")
    corpus = Corpus.sample()
    yield DemoCorpus(corpus)
    students = {}
    for name in ("baseline", "student"):
        path = demo_run(Path(out), name, task)
        yield DemoRun(name, path, _is_trained(path))
        config = _config(name, task, encoder, epochs)
        students[name] = _trained(corpus, config, path, listener)
    yield _scores(students["baseline"], students["student"], corpus)
    yield DemoExtractions(DEMO_TASKS[task].extract(students["student"]))


def demo_run(out: Path, name: str, task: Task) -> Path:
    """Return the run directory of the ``"baseline"`` or the ``"student"`` of a task."""
    return out / f"{DEMO_TASKS[task].prefix}{_DIRECTORIES[name]}"


class DemoTask(NamedTuple):
    """What differs between the demonstrations of two tasks.

    Attributes:
        epochs: The default number of epochs.
        prefix: The prefix of the run directories.
        extract: Extracts from a few new texts.
    """

    epochs: int
    prefix: str
    extract: Callable[[Student], tuple[Any, ...]]


DEMO_TASKS: dict[Task, DemoTask] = {
    "entities": DemoTask(epochs=10, prefix="", extract=extract_entities),
    "relations": DemoTask(epochs=5, prefix="relations-", extract=extract_relations),
}
_DIRECTORIES = {"baseline": "text", "student": "cotpd"}
_METHODS: dict[str, Method] = {"baseline": "text-only", "student": "cotpd"}


def _config(name: str, task: Task, encoder: str, epochs: int | None) -> ExperimentConfig:
    changes = [
        f"task={task}",
        f"method={_METHODS[name]}",
        f"student.encoder={json.dumps(encoder)}",
        f"optimisation.epochs={epochs or DEMO_TASKS[task].epochs}",
    ]
    return ExperimentConfig.read(sample_path() / "demo.toml", changes)


def _is_trained(run: Path) -> bool:
    return (run / "model").is_dir()


def _trained(corpus: Corpus, config: ExperimentConfig, run: Path, listener: Listener) -> Student:
    if not _is_trained(run):
        distill(corpus, config=config, out=run, resume=True, listener=listener)
    return TrainedStudent.from_pretrained(run).student


def _scores(baseline: Student, student: Student, corpus: Corpus) -> DemoScores:
    by_view = {
        "baseline": score_student(baseline, corpus.test, view=ViewKind.TEXT),
        "prompt": score_student(student, corpus.test, view=ViewKind.PROMPT),
        "knowledge": score_student(student, corpus.test, view=ViewKind.KNOWLEDGE),
    }
    return DemoScores(by_view, compare(by_view["prompt"], by_view["baseline"]))
