"""`cotpd extract`: texts become JSON lines with their entities."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.text import Text

from cotpd.cli.terminal import printable
from cotpd.core.errors import DataError, UsageError
from cotpd.core.files import json_line, read_jsonl, read_lines

if TYPE_CHECKING:
    from cotpd.inference.extractor import Extraction

Row = dict[str, Any]
Precision = Literal["auto", "float32", "bfloat16"]


def extract(
    run: Annotated[str, typer.Argument(help="A run, a model directory, or a model of the hub.")],
    texts: Annotated[list[str] | None, typer.Argument(help="Texts; by default, or with -, the lines of stdin.")] = None,
    file: Annotated[Path | None, typer.Option(help="Read JSON lines with `text` or `words`, or lines of text.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Posts read together; 1 answers each line at once.")] = 32,
    device: Annotated[str | None, typer.Option(help="A torch device; by default the GPU if there is one.")] = None,
    precision: Annotated[
        Precision, typer.Option(help="bfloat16 is faster; auto takes it where the device has it.")
    ] = "float32",
    human: Annotated[bool, typer.Option("--human", help="Print marked text for people, not JSON.")] = False,
) -> None:
    """Extract the entities of texts: one line of JSON for each.

    A line holds {"text", "entities": [{entity_group, score, word, start, end}]}; offsets count code points. Other
    fields of JSON lines are passed through. `words` are joined by spaces.

    Examples:

        cotpd extract runs/twitter2017-seed1 "Messi lifts the cup in Lusail"

        cat posts.txt | cotpd extract runs/twitter2017-seed1 > entities.jsonl
    """
    from cotpd.inference.extractor import Extractor

    source = _Source(_rows(texts or [], file))
    extractor = Extractor.from_pretrained(run, device=device)
    if extractor.student.design.task == "relations":
        raise UsageError(f"{run} was trained on relations and extracts no entities; see `cotpd evaluate --help`")
    extractor.batch_size, extractor.precision = batch_size, precision
    rows, copies = tee(source)
    show = _show_marked if human else _show_json
    for extraction, row in zip(extractor.stream(row["text"] for row in rows), copies, strict=False):
        show(extraction, row)
    if source.defect:
        raise source.defect


class _Source:
    """Rows up to the first defect, which is kept: what came before it is still answered."""

    def __init__(self, rows: Iterator[Row]) -> None:
        self._rows = rows
        self.defect: DataError | None = None

    def __iter__(self) -> Iterator[Row]:
        try:
            yield from self._rows
        except DataError as error:
            self.defect = error


def _rows(texts: list[str], file: Path | None) -> Iterator[Row]:
    if file and texts:
        raise UsageError("give texts or --file, not both")
    if file:
        return _rows_of_file(file)
    if texts in ([], ["-"]):
        return ({"text": line} for line in _lines_of_stdin())
    return ({"text": text} for text in texts)


def _rows_of_file(file: Path) -> Iterator[Row]:
    if file.suffix not in (".jsonl", ".ndjson", ".json"):
        return ({"text": line} for _, line in read_lines(file))
    return ({**row, "text": _text(row, where)} for where, row in read_jsonl(file))


def _text(row: Row, where: str) -> str:
    text, words = row.get("text"), row.get("words")
    if isinstance(text, str):
        return text
    if text is None and isinstance(words, list) and all(isinstance(word, str) for word in words):
        return " ".join(words)
    raise DataError("`text`, a string, or `words`, a list of strings, was expected", where=where)


def _lines_of_stdin() -> Iterator[str]:
    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            yield line.decode("utf-8").removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError as error:
            message = f"not UTF-8 at byte {error.start} of the line; convert the text to UTF-8"
            raise DataError(message, where=f"<stdin>:{number}") from error


def _show_json(extraction: Extraction, row: Row) -> None:
    typer.echo(json_line(row | extraction.to_dict()), nl=False)


def _show_marked(extraction: Extraction, _: Row) -> None:
    marked, place = Text(), 0
    for mention in extraction.entities:
        marked.append(printable(extraction.text[place : mention.start]))
        marked.append(f"[{printable(mention.word)} ", style="bold")
        marked.append(f"{mention.entity_group} {mention.score:.2f}", style="cyan").append("]", style="bold")
        place = mention.end
    Console(soft_wrap=True).print(marked.append(printable(extraction.text[place:])))
