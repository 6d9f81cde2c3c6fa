"""`cotpd extract`: print what a trained run extracts from texts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cotpd.cli.display.counting_bar import CountingBar
from cotpd.cli.display.tasks import DISPLAYS
from cotpd.cli.display.terminal import echo_json, plain_console
from cotpd.cli.input.pipes import stdin
from cotpd.core.errors import UsageError
from cotpd.core.files import json_line

if TYPE_CHECKING:
    from cotpd.core.config import Task
    from cotpd.inference.extractor import Extractor
    from cotpd.inference.rows.text_rows import TextRow

Precision = Literal["auto", "float32", "bfloat16"]


def extract(
    run: Annotated[str, typer.Argument(help="A run, a model directory, or a Hugging Face model as hf:owner/name.")],
    texts: Annotated[
        list[str] | None, typer.Argument(help="Texts to read; by default, or with -, the lines of stdin.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="File to read: JSON lines with `text` or `words`, or lines of text.")
    ] = None,
    entities_from: Annotated[
        str | None, typer.Option(help="For a run of relations or sentiment: the run or model that finds the entities.")
    ] = None,
    unrelated: Annotated[
        bool, typer.Option("--unrelated", help="For a run of relations: also print pairs without a relation.")
    ] = False,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Number of texts that are read together; 1 answers each line at once.")
    ] = 32,
    min_score: Annotated[
        float, typer.Option(min=0, max=1, help="Smallest score of an entity, relation or sentiment that is printed.")
    ] = 0.0,
    precision: Annotated[
        Precision, typer.Option(help="Precision of the encoder; auto is bfloat16 where the device supports it.")
    ] = "float32",
    human: Annotated[bool, typer.Option("--human", help="Print marked text instead of JSON.")] = False,
) -> None:
    """Extract what a run was trained on, such as entities or relations: one line of JSON for each text.

    A run of entities prints {"text", "entities": [{entity_group, score, word, start, end}]}. Offsets count code
    points. Other fields of JSON lines are passed through. `words` are joined by spaces.

    A run of relations prints {"text", "relations": [{label, score, head: {word, start, end}, tail: {…}}]}. It needs
    marked entities: --entities-from finds them, or JSON lines mark one pair as `head` and `tail`, or all `entities`.
    Each mark is {start, end}, in code points of `text` or in words of `words`. Pairs without a relation are printed
    only with --unrelated, or if the line marks a single pair.

    A run of target sentiment prints {"text", "sentiments": [{label, score, target: {word, start, end}}]}. JSON lines
    mark one `target` or several `entities`, or --entities-from finds the entities.

    Examples:

        cotpd extract runs/twitter2017-seed1 "Messi lifts the cup in Lusail"

        cat posts.txt | cotpd extract runs/twitter2017-seed1 --min-score 0.5 --precision auto > entities.jsonl

        cotpd extract runs/mnre-seed1 --entities-from runs/twitter2017-seed1 "Messi lifts the cup in Lusail"
    """
    from cotpd.inference.predictor import TrainedStudent
    from cotpd.inference.rows.extraction import extract_rows
    from cotpd.inference.rows.row_answers import RowOptions
    from cotpd.inference.rows.text_rows import count_lines

    rows = _read_rows(texts or [], file)
    student = TrainedStudent.from_pretrained(run).student
    _require_entities(run, student.design.task, file=file, entities_from=entities_from)
    finder = _load_finder(entities_from, batch_size, precision) if entities_from else None
    options = RowOptions(batch_size, finder, unrelated, min_score, precision)
    display = DISPLAYS[student.design.task]
    num_rows = count_lines(file) if file else _num_texts(texts)
    with CountingBar("texts", shown=not sys.stdout.isatty()) as bar:
        for number, (row, answer) in enumerate(extract_rows(student, rows, options), 1):
            if human:
                plain_console().print(display.marked_text(answer))
            else:
                echo_json(json_line(row.fields | answer).rstrip())
            bar.show(number, num_rows)


def _num_texts(texts: list[str] | None) -> int | None:
    """Return the number of texts, or None if they come from stdin."""
    return len(texts) if texts and texts != ["-"] else None


def _read_rows(texts: list[str], file: Path | None) -> Iterator[TextRow]:
    from cotpd.inference.rows.text_rows import TextRow, read_text_rows, stream_text_rows

    if file and texts:
        raise UsageError("texts and --file exclude each other; give one of them")
    if file:
        return read_text_rows(file)
    if texts in ([], ["-"]):
        return stream_text_rows(stdin(), "<stdin>")
    return (TextRow(text, {}, f"text {number}") for number, text in enumerate(texts, 1))


def _require_entities(run: str, task: Task, *, file: Path | None, entities_from: str | None) -> None:
    """Raise `UsageError` if the options do not say where the entities come from that the task needs."""
    from cotpd.inference.rows.extraction import ROW_TASKS
    from cotpd.inference.rows.text_rows import is_json_lines

    needs_entities = ROW_TASKS[task].needs_entities
    if entities_from and not needs_entities:
        raise UsageError(f"--entities-from: {run} was trained on {task}; use it with a run of relations or sentiment")
    if needs_entities and not entities_from and not (file and is_json_lines(file)):
        raise UsageError(
            f"{run} was trained on {task}, and these texts do not mark their entities; add --entities-from RUN, or "
            "give JSON lines that mark them (see `cotpd extract --help`)"
        )


def _load_finder(run: str, batch_size: int, precision: Precision) -> Extractor:
    from cotpd.inference.extractor import Extractor

    return Extractor.from_pretrained(run, batch_size=batch_size, precision=precision)
