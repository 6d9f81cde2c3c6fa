"""`cotpd evaluate`: a run and a corpus become scores with intervals, and a comparison with another run."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import typer

from cotpd.cli.display.terminal import printable
from cotpd.cli.options.run_settings import data_settings
from cotpd.core.errors import DataError, UsageError
from cotpd.core.files import write_atomic
from cotpd.core.pairs import grouped
from cotpd.core.tasks import ANNOTATIONS

if TYPE_CHECKING:
    from cotpd.core.config import Part, Task
    from cotpd.core.records import Example, Prediction, Span
    from cotpd.corpus.corpus import Corpus
    from cotpd.evaluation.report import Report
    from cotpd.evaluation.scores import Scores
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
    entities_from: Annotated[
        Path | None, typer.Option(help="For relations: classify all pairs of the entities that this run finds.")
    ] = None,
    all_pairs: Annotated[
        bool, typer.Option("--all-pairs", help="For relations: classify all pairs of the gold entities of a post.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write the JSON to this file, too.")] = None,
) -> None:
    """Score a student on gold posts.

    Micro, macro and per type precision, recall and F1, a 95 % bootstrap interval, and with --against a paired test.
    The knowledge view needs captions.jsonl or knowledge.jsonl beside the corpus. Of relations, also the share of false
    ones between entities that merely co-occur.

    Examples:

        cotpd evaluate runs/twitter2017-seed1 data/twitter2017 --split dev

        cotpd evaluate runs/twitter2017-seed1 data/twitter2017 --view knowledge --against runs/text-seed1 --json

        cotpd evaluate runs/mnre-seed1 data/mnre --split dev --entities-from runs/twitter2017-seed1
    """
    if out and out.is_dir():
        raise UsageError(f"{out}: a directory; --out takes the file for the JSON")
    if entities_from and all_pairs:
        raise UsageError("give --entities-from or --all-pairs, not both")
    if against:
        _require_one_task(run, against)
    asked = _Asked(data, split, entities_from, all_pairs)
    scored = _predict(run, view, asked)
    other = _predict(against, None, asked) if against else None
    report = _report(scored, other, mode)
    text = json.dumps(report.to_dict(), indent=2)
    typer.echo(text if as_json else printable(str(report)))
    if out:
        _write(out, text + "\n")


def _require_one_task(run: Path, against: Path) -> None:
    from cotpd.student import checkpoint

    task, other = (checkpoint.read_design(_model_directory(path)).task for path in (run, against))
    if task != other:
        raise UsageError(f"{against} was trained on {other}, {run} on {task}; compare runs of one task")


def _write(out: Path, text: str) -> None:
    try:
        write_atomic(out, text)
    except OSError as error:
        raise UsageError(f"{out}: cannot be written ({error.strerror}); choose another --out") from error


class _Asked(NamedTuple):
    """The posts that are scored, and of relations the pairs."""

    data: Path
    split: Split | None
    entities_from: Path | None
    all_pairs: bool


class _Predicted(NamedTuple):
    """A run's predictions, with the gold posts as its own configuration reads them."""

    task: Task
    facts: dict[str, str]
    predictions: list[Prediction]
    examples: tuple[Example, ...]
    train: tuple[Example, ...]


def _predict(run: Path, view: View | None, asked: _Asked) -> _Predicted:
    from cotpd.student import checkpoint

    student = checkpoint.load(_model_directory(run))
    kind: View = view or student.design.deployed_view.value
    corpus = _read(asked.data, run, kind)
    name, examples = _chosen(corpus, asked.data, asked.split)
    if kind == "knowledge":
        _require_knowledge(examples, asked.data, student.design.views.parts)
        _note_cuts(student, examples)
    _note_gold(student, examples)
    facts = {"run": str(run), "data": f"{asked.data} ({name})", "view": kind}
    train = () if name == "train" else corpus.train
    questions = examples
    if asked.entities_from or asked.all_pairs:
        _require_relations(student, run)
        examples = grouped(examples)
        questions = _all_pairs(student, examples, asked.entities_from)
        facts["pairs"] = f"of entities found by {asked.entities_from}" if asked.entities_from else "of gold entities"
    return _Predicted(student.design.task, facts, list(_decoded(student, questions, kind)), examples, train)


def _require_relations(student: Student, run: Path) -> None:
    if student.design.task != "relations":
        raise UsageError(f"{run} was trained on entities; --entities-from and --all-pairs go with a run of relations")


def _all_pairs(student: Student, examples: tuple[Example, ...], finder: Path | None) -> tuple[Example, ...]:
    """The posts with every pair to classify: of the entities that a run finds, or of those of gold."""
    from cotpd.inference.candidates import candidates

    found = _found_spans(finder, examples) if finder else map(_gold_spans, examples)
    questions = []
    for example, spans in zip(examples, found, strict=True):
        stated = () if finder else example.relations
        known = {(pair.head, pair.tail) for pair in stated}
        others = candidates(student.reader, example.words, spans)
        asked = (*stated, *(pair for pair in others if (pair.head, pair.tail) not in known))
        questions.append(replace(example, entities=(), relations=asked))
    return tuple(questions)


def _found_spans(finder: Path, examples: tuple[Example, ...]) -> Iterator[list[Span]]:
    from cotpd.student import checkpoint

    student = checkpoint.load(_model_directory(finder))
    if student.design.task != "entities":
        raise UsageError(f"{finder} was trained on relations and finds no entities")
    for prediction in _decoded(student, examples, student.design.deployed_view.value):
        yield [entity.span for entity in prediction.entities]


def _gold_spans(example: Example) -> list[Span]:
    relations = [span for pair in example.relations for span in (pair.head, pair.tail)]
    return [*(entity.span for entity in example.entities), *relations]


def _model_directory(run: Path) -> Path:
    return run / "model" if (run / "model").is_dir() or (run / "config.toml").is_file() else run


def _read(data: Path, run: Path, kind: View) -> Corpus:
    """The corpus with types, captions and knowledge as the run was trained; orphans are kept, for the mode decides."""
    from cotpd.corpus.corpus import Corpus
    from cotpd.corpus.splits import CAPTIONS, KNOWLEDGE, companion

    settings = data_settings(run)
    if settings is None:
        return Corpus.from_path(data)
    reads = kind == "knowledge"
    return Corpus.from_path(
        data,
        captioner=settings.captioner if reads and companion(data, CAPTIONS).is_file() else None,
        knowledge_model=settings.knowledge_model if reads and companion(data, KNOWLEDGE).is_file() else None,
        label_map=settings.label_map,
        normalise_words=settings.normalise_words,
    )


def _chosen(corpus: Corpus, data: Path, split: Split | None) -> tuple[str, tuple[Example, ...]]:
    """The name and the posts of the split that was asked for. Raises `DataError` if there is none."""
    splits = corpus.splits
    wanted: str = split or (next(iter(splits)) if len(splits) == 1 else "test")
    if wanted not in splits:
        raise DataError(f"no {wanted} posts; there are {', '.join(splits)}: choose with --split", where=str(data))
    return wanted, splits[wanted]


def _require_knowledge(examples: tuple[Example, ...], data: Path, parts: tuple[Part, ...]) -> None:
    """Refuse posts of which none has any of the parts that the student reads; warn of some."""
    from cotpd.views.view import num_without_knowledge

    read, untold = ", ".join(parts), num_without_knowledge(examples, parts) if parts else 0
    if untold and untold == len(examples):
        message = "the knowledge view needs captions.jsonl or knowledge.jsonl beside the corpus, and in them"
        raise DataError(f"{message}, of these posts, any of {read}", where=str(data))
    if untold:
        logger.warning("%d of %d posts have none of %s, which the student reads", untold, len(examples), read)


def _note_cuts(student: Student, examples: tuple[Example, ...]) -> None:
    from cotpd.inference.tasks import DECODERS
    from cotpd.views.view import ViewKind

    windows = DECODERS[student.design.task].windows
    read = (windows(student, number, post, ViewKind.KNOWLEDGE) for number, post in enumerate(examples))
    if num_cut := sum(any(window.view.num_cut for window in post) for post in read):
        pieces = student.design.views.knowledge_pieces
        logger.info("knowledge is cut to %d pieces at most in %d of %d posts", pieces, num_cut, len(examples))


def _note_gold(student: Student, examples: tuple[Example, ...]) -> None:
    task = student.design.task
    annotations = ANNOTATIONS[task]
    if not any(map(annotations.of, examples)):
        logger.warning("these posts have no gold %s", task)
    unknown = set(annotations.labels(examples)).difference(student.design.labels)
    if unknown:
        logger.warning("labels in gold that the student did not learn: %s", ", ".join(sorted(unknown)))


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
    from cotpd.evaluation.report import Report, secondary_scores
    from cotpd.evaluation.tasks import SCORING

    scores = _scores(scored, mode)
    predictions, examples, task = scored.predictions, scored.examples, scored.task
    secondary = secondary_scores(predictions, examples, task=task, mode=mode, train=scored.train)
    pairs = SCORING[task].co_occurrence(predictions, examples)
    report = Report(scores, secondary, scored.facts, co_occurrence=pairs)
    if other is None:
        return report
    return replace(report, against=other.facts, comparison=compare(scores, _scores(other, mode)))


def _scores(predicted: _Predicted, mode: Mode) -> Scores:
    from cotpd.evaluation import evaluate as score
    from cotpd.evaluation.tasks import SCORING

    scoring = SCORING[predicted.task]
    predictions = scoring.scorable(predicted.predictions, predicted.examples)
    return score(predictions, predicted.examples, mode=mode, rule=scoring.rule)
