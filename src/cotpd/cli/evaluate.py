"""`cotpd evaluate`: a run and a corpus become scores with intervals, and a comparison with another run."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import typer

if TYPE_CHECKING:
    from cotpd.core.config import Task
    from cotpd.core.records import Example, Prediction
    from cotpd.corpus.corpus import Corpus
    from cotpd.evaluation.report import Report
    from cotpd.student.student import Student

logger = logging.getLogger(__name__)

View = Literal["text", "prompt", "knowledge"]
Mode = Literal["conlleval", "strict"]
Split = Literal["train", "dev", "test"]


def evaluate(
    run: Annotated[Path, typer.Argument(help="A run directory, or a model directory.")],
    data: Annotated[Path, typer.Argument(help="A corpus directory, or one corpus file.")],
    split: Annotated[Split | None, typer.Option(help="By default test, or the only one there is.")] = None,
    view: Annotated[View | None, typer.Option(help="What the student reads; by default the view it ships.")] = None,
    mode: Annotated[Mode, typer.Option(help="Whether entities that begin with an I- tag count.")] = "conlleval",
    against: Annotated[Path | None, typer.Option(help="Another run, in the view it ships, to compare with.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write the JSON to this file, too.")] = None,
) -> None:
    """Score a student on gold posts.

    Micro, macro and per type precision, recall and F1, a 95 % bootstrap interval, and with --against a paired test.
    The knowledge view needs captions.jsonl or knowledge.jsonl beside the corpus.

    Examples:

        cotpd evaluate runs/twitter2017-seed1 data/twitter2017 --split dev

        cotpd evaluate runs/twitter2017-seed1 data/twitter2017 --view knowledge --against runs/text-seed1 --json
    """
    from cotpd.cli.terminal import printable
    from cotpd.core.errors import UsageError
    from cotpd.core.files import write_atomic

    scored = _predict(run, data, split, view)
    other = _predict(against, data, split, None) if against else None
    if other and other.task != scored.task:
        raise UsageError(f"{against} was trained on {other.task}, {run} on {scored.task}; compare runs of one task")
    report = _report(scored, other, mode)
    text = json.dumps(report.to_dict(), indent=2)
    if out:
        write_atomic(out, text + "\n")
    typer.echo(text if as_json else printable(str(report)))


class _Predicted(NamedTuple):
    """A run's predictions, with the gold posts as its own configuration reads them."""

    task: Task
    facts: dict[str, str]
    predictions: list[Prediction]
    examples: tuple[Example, ...]
    train: tuple[Example, ...]


def _predict(run: Path, data: Path, split: Split | None, view: View | None) -> _Predicted:
    from cotpd.student import checkpoint

    student = checkpoint.load(_model_directory(run))
    kind: View = view or student.design.ships.value
    corpus = _read(data, run, kind)
    name, examples = _chosen(corpus, data, split)
    if kind == "knowledge":
        _require_knowledge(examples, data)
    _note_gold(student, examples)
    facts = {"run": str(run), "data": f"{data} ({name})", "view": kind}
    train = () if name == "train" else corpus.train
    return _Predicted(student.design.task, facts, list(_decoded(student, examples, kind)), examples, train)


def _model_directory(run: Path) -> Path:
    from cotpd.core.errors import CheckpointError

    if (run / "model").is_dir():
        return run / "model"
    if (run / "config.toml").is_file():
        raise CheckpointError(f"{run}: this run is not finished; go on with `cotpd distill CONFIG --resume`")
    return run


def _read(data: Path, run: Path, kind: View) -> Corpus:
    """The corpus with types, captions and knowledge as the run was trained; orphans are kept, for the mode decides."""
    from cotpd.core.config import ExperimentConfig
    from cotpd.corpus.corpus import Corpus

    configs = [path for path in (run / "config.toml", run.resolve().parent / "config.toml") if path.is_file()]
    if not configs:
        return Corpus.from_path(data)
    settings = ExperimentConfig.read(configs[0]).data
    if kind != "knowledge":
        return Corpus.from_path(data, label_map=settings.label_map, normalise_words=settings.normalise_words)
    return Corpus.from_path(
        data,
        captioner=settings.captioner,
        knowledge_model=settings.knowledge_model,
        label_map=settings.label_map,
        normalise_words=settings.normalise_words,
    )


def _chosen(corpus: Corpus, data: Path, split: Split | None) -> tuple[str, tuple[Example, ...]]:
    """The name and the posts of the split that was asked for. Raises `DataError` if there is none."""
    from cotpd.core.errors import DataError

    splits = corpus.splits
    wanted: str = split or (next(iter(splits)) if len(splits) == 1 else "test")
    if wanted not in splits:
        raise DataError(f"no {wanted} posts; there are {', '.join(splits)}: choose with --split", where=str(data))
    return wanted, splits[wanted]


def _require_knowledge(examples: tuple[Example, ...], data: Path) -> None:
    from cotpd.core.errors import DataError

    without = sum(not (example.caption or example.knowledge) for example in examples)
    if without == len(examples):
        message = "the knowledge view needs captions.jsonl or knowledge.jsonl beside the corpus, for these posts"
        raise DataError(message, where=str(data))
    if without:
        logger.warning("%d of %d posts have neither caption nor knowledge", without, len(examples))


def _note_gold(student: Student, examples: tuple[Example, ...]) -> None:
    task = student.design.task
    if not any(getattr(example, task) for example in examples):
        logger.warning("these posts have no gold %s", task)
    unknown = {entity.label for example in examples for entity in example.entities} - set(student.label_set.types)
    if unknown:
        logger.warning("types in gold that the student never learnt: %s", ", ".join(sorted(unknown)))


def _decoded(student: Student, examples: tuple[Example, ...], kind: View) -> Iterator[Prediction]:
    from rich.console import Console
    from rich.progress import track

    from cotpd.inference.decoding import decode
    from cotpd.views.view import ViewKind

    console = Console(stderr=True)
    predictions = decode(student, examples, kind=ViewKind(kind))
    yield from track(predictions, kind, len(examples), console=console, disable=not console.is_terminal)


def _report(scored: _Predicted, other: _Predicted | None, mode: Mode) -> Report:
    from cotpd.evaluation import compare
    from cotpd.evaluation import evaluate as score
    from cotpd.evaluation.matching import ExactEntities, ExactRelations
    from cotpd.evaluation.report import Report, secondary_scores

    rule = ExactRelations() if scored.task == "relations" else ExactEntities()
    scores = score(scored.predictions, scored.examples, mode=mode, rule=rule)
    entities = scored.task == "entities"
    secondary = secondary_scores(scored.predictions, scored.examples, mode=mode, train=scored.train) if entities else ()
    if other is None:
        return Report(scores, secondary, scored.facts)
    comparison = compare(scores, score(other.predictions, other.examples, mode=mode, rule=rule))
    return Report(scores, secondary, scored.facts, other.facts, comparison)
