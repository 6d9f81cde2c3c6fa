"""`cotpd extract`: texts become JSON lines with their entities, or with the relations of their entities."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Generic, Literal, NamedTuple, TypeVar

import typer
from rich.console import Console
from rich.text import Text

from cotpd.cli.display.terminal import printable
from cotpd.cli.input.marked_rows import Row, marked_text, text_of
from cotpd.cli.input.pipes import stdin
from cotpd.core.errors import DataError, UsageError
from cotpd.core.files import decoded_lines, json_line, read_jsonl, read_lines

if TYPE_CHECKING:
    from cotpd.core.config import Task
    from cotpd.inference.extractor import Extractor
    from cotpd.inference.marked_text import MarkedText
    from cotpd.inference.relation_extractor import RelationExtraction, RelationExtractor

logger = logging.getLogger(__name__)

_TAGGED = re.compile(r"IMGID:|\S+[\t ](O|[BIES]-\S+)$")
"""A corpus of tagged words, which would be read as one post a word."""

Precision = Literal["auto", "float32", "bfloat16"]


def extract(
    run: Annotated[str, typer.Argument(help="A run, a model directory, or a model of the hub.")],
    texts: Annotated[list[str] | None, typer.Argument(help="Texts; by default, or with -, the lines of stdin.")] = None,
    file: Annotated[Path | None, typer.Option(help="Read JSON lines with `text` or `words`, or lines of text.")] = None,
    entities_from: Annotated[
        str | None, typer.Option(help="For a run of relations: the run or model that finds the entities.")
    ] = None,
    unrelated: Annotated[bool, typer.Option("--unrelated", help="Also print pairs without a relation.")] = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Posts read together; 1 answers each line at once.")] = 32,
    device: Annotated[str | None, typer.Option(help="A torch device; by default the GPU if there is one.")] = None,
    precision: Annotated[
        Precision, typer.Option(help="bfloat16 is faster; auto takes it where the device has it.")
    ] = "float32",
    human: Annotated[bool, typer.Option("--human", help="Print marked text for people, not JSON.")] = False,
) -> None:
    """Extract what a run was trained on, entities or relations: one line of JSON for each text.

    A line holds {"text", "entities": [{entity_group, score, word, start, end}]}; offsets count code points. Other
    fields of JSON lines are passed through. `words` are joined by spaces.

    A run of relations answers {"text", "relations": [{label, score, head: {word, start, end}, tail: {…}}]}. It needs
    marked entities: those that --entities-from finds, or in JSON lines `head` and `tail` for one pair, `entities` for
    all ordered pairs, each place as {start, end} in code points of `text` or in words of `words`. Without --unrelated
    only such a single pair is answered where it holds no relation (None).

    Examples:

        cotpd extract runs/twitter2017-seed1 "Messi lifts the cup in Lusail"

        cat posts.txt | cotpd extract runs/twitter2017-seed1 > entities.jsonl

        cotpd extract runs/mnre-seed1 --entities-from runs/twitter2017-seed1 "Messi lifts the cup in Lusail"
    """
    from cotpd.inference.extractor import Extractor
    from cotpd.inference.predictor import TrainedStudent
    from cotpd.inference.relation_extractor import RelationExtractor

    rows = _rows(texts or [], file)
    student = TrainedStudent.from_pretrained(run, device=device).student
    task = student.design.task
    _require_marks(run, task, file, entities_from)
    source: _Source[_Read] | _Source[_Marked]
    if task == "entities":
        source = _Source(rows)
        answers = _entities(Extractor(student, batch_size=batch_size, precision=precision), source)
    else:
        relations = RelationExtractor(student, batch_size=batch_size, precision=precision)
        if entities_from:
            source = _Source(rows)
            finder = Extractor.from_pretrained(entities_from, device=device)
            finder.batch_size, finder.precision = batch_size, precision
            answers = _relations_of_found(relations, finder, source, unrelated)
        else:
            source = _Source(_Marked(read, marked_text(read.row, read.where)) for read in rows)
            answers = _relations_of_marked(relations, source, unrelated)
    for read, answer in answers:
        (_show_marked if human else _show_json)(answer, read.row)
    if source.defect:
        raise source.defect


class _Read(NamedTuple):
    """A row as it was read, where it stands, and its text."""

    row: Row
    where: str
    text: str


class _Marked(NamedTuple):
    """A row with its text and the places marked there."""

    read: _Read
    text: MarkedText


_Item = TypeVar("_Item")
_Answers = Iterator[tuple[_Read, Row]]


class _Source(Generic[_Item]):
    """Rows up to the first defect, which is kept: what came before it is still answered."""

    def __init__(self, rows: Iterator[_Item]) -> None:
        self._rows = rows
        self.defect: DataError | None = None

    def __iter__(self) -> Iterator[_Item]:
        try:
            yield from self._rows
        except DataError as error:
            self.defect = error


def _require_marks(run: str, task: Task, file: Path | None, entities_from: str | None) -> None:
    if task == "entities" and entities_from:
        raise UsageError(f"{run} was trained on entities; --entities-from goes with a run of relations")
    if task == "relations" and not entities_from and not _has_rows(file):
        raise UsageError(
            f"{run} was trained on relations, and nothing marks the entities of these texts: add --entities-from RUN, "
            "or give JSON lines with `head` and `tail`, see `cotpd extract --help`"
        )


def _entities(extractor: Extractor, source: _Source[_Read]) -> _Answers:
    reads, copies = tee(source)
    for extraction, read in zip(extractor.stream(read.text for read in reads), copies, strict=False):
        yield read, extraction.to_dict()


def _relations_of_found(
    relations: RelationExtractor, finder: Extractor, source: _Source[_Read], unrelated: bool
) -> _Answers:
    reads, copies = tee(source)
    found, kept = tee(finder.stream(read.text for read in reads))
    for extraction, entities, read in zip(relations.stream(found), kept, copies, strict=False):
        _warn_of_left_out(extraction, read)
        yield read, entities.to_dict() | extraction.to_dict(unrelated=unrelated)


def _relations_of_marked(relations: RelationExtractor, source: _Source[_Marked], unrelated: bool) -> _Answers:
    rows, copies = tee(source)
    for extraction, (read, marked) in zip(relations.stream(row.text for row in rows), copies, strict=False):
        if marked.pairs and extraction.num_omitted:
            raise DataError("the words from head to tail are more than the encoder takes", where=read.where)
        _warn_of_left_out(extraction, read)
        yield read, extraction.to_dict(unrelated=unrelated or bool(marked.pairs))


def _warn_of_left_out(extraction: RelationExtraction, read: _Read) -> None:
    if extraction.num_omitted:
        logger.warning("%s: %d pairs of entities too far apart are left out", read.where, extraction.num_omitted)


def _rows(texts: list[str], file: Path | None) -> Iterator[_Read]:
    if file and texts:
        raise UsageError("give texts or --file, not both")
    if file and _has_rows(file):
        return (_Read(row, where, text_of(row, where)) for where, row in read_jsonl(file))
    if file:
        return _lines(read_lines(file), str(file), source=str(file))
    if texts in ([], ["-"]):
        return _lines(decoded_lines(stdin(), "<stdin>"), "<stdin>", source="FILE")
    return (_Read({}, f"text {number}", text) for number, text in enumerate(texts, 1))


def _lines(lines: Iterator[tuple[int, str]], name: str, *, source: str) -> Iterator[_Read]:
    """Lines of text. Raises `DataError` where the first shows another format; ``source`` is its name in the advice."""
    for number, line in lines:
        where = f"{name}:{number}"
        if number == 1 and _TAGGED.match(line):
            hint = f"`cotpd convert {source} posts.jsonl` makes posts of them, which --file reads"
            raise DataError(f"tagged words, not lines of text; {hint}", where=where)
        if number == 1 and _is_row(line):
            raise DataError("JSON lines, not lines of text; --file reads them from a .jsonl file", where=where)
        yield _Read({}, where, line)


def _is_row(line: str) -> bool:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(row, dict) and not row.keys().isdisjoint(("text", "words"))


def _has_rows(file: Path | None) -> bool:
    return file is not None and file.suffix in (".jsonl", ".ndjson", ".json")


def _show_json(answer: Row, row: Row) -> None:
    typer.echo(json_line(row | answer), nl=False)


def _show_marked(answer: Row, _: Row) -> None:
    """The text with its entities marked, and a line for each pair."""
    text, marked, place = answer["text"], Text(), 0
    for entity in answer.get("entities", ()):
        marked.append(printable(text[place : entity["start"]]))
        marked.append(f"[{printable(entity['word'])} ", style="bold")
        marked.append(f"{entity['entity_group']} {entity['score']:.2f}", style="cyan").append("]", style="bold")
        place = entity["end"]
    marked.append(printable(text[place:]))
    for pair in answer.get("relations", ()):
        marked.append(f"\n  {printable(pair['head']['word'])} → {printable(pair['tail']['word'])}  ")
        marked.append(f"{pair['label']} {pair['score']:.2f}", style="cyan")
    Console(soft_wrap=True).print(marked)
