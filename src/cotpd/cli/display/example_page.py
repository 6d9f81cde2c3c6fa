"""The page of `cotpd show`: one example as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from cotpd.cli.display.terminal import printable
from cotpd.core.records import NO_RELATION, Example, Prediction, Span

if TYPE_CHECKING:
    from cotpd.distillation.showcase.example_report import ExampleReport
    from cotpd.inference.example_views import ReadableView

_RowKey = tuple[tuple[Span, ...], str]
"""The spans of an annotation and its kind."""


def example_page(report: ExampleReport) -> Group:
    """Return the page: title, words, knowledge, views, and a table of gold labels and predictions."""
    return Group(
        _title(report),
        _marked_words(report.example),
        "",
        _grid(_knowledge_rows(report.example)),
        "",
        _grid(_view_rows(report.views)),
        "",
        _label_table(report),
    )


def _title(report: ExampleReport) -> Text:
    place = f"   {report.split}   {report.where}   image {report.example.image_id or '–'}"
    return Text(printable(report.example.id), style="bold").append(printable(place), style="not bold dim")


def _marked_words(example: Example) -> Text:
    """Return the words, with the words of gold entities and pairs in colour."""
    spans = [span for annotation in example.annotations for span in annotation.spans]
    inside = {place for span in spans for place in range(span.start, span.end)}
    words = [Text(printable(word), "bold cyan" if place in inside else "") for place, word in enumerate(example.words)]
    return Text(" ").join(words)


def _knowledge_rows(example: Example) -> Iterator[tuple[str, str, str]]:
    """Yield name, source and text of the caption and of each answer of a language model."""
    if example.caption:
        yield "caption", example.caption.captioner, example.caption.text
    for answer in example.knowledge:
        yield answer.grain, f"{answer.model} {answer.template}".strip(), answer.text
    if not example.caption and not example.knowledge:
        yield "knowledge", "", "none; put captions.jsonl or knowledge.jsonl beside the corpus"


def _view_rows(views: Mapping[str, ReadableView]) -> Iterator[tuple[str, str, str]]:
    """Yield name, remark and pieces of every window of every view."""
    for name, view in views.items():
        for number, window in enumerate(view.windows, 1):
            remarks = [f"{view.unit} {number} of {len(view.windows)}"] if len(view.windows) > 1 else []
            remarks += [f"{view.num_cut} pieces of knowledge cut"] if view.num_cut else []
            yield f"{name} view", ", ".join(remarks), " ".join(window)


def _grid(rows: Iterable[tuple[str, str, str]]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, remark, text in rows:
        grid.add_row(name, Text(printable(text)).append(f"  ({printable(remark)})" if remark else "", "dim"))
    return grid


def _label_table(report: ExampleReport) -> Table:
    """Return a table with a row for each annotation and a column for gold and for each view.

    A pair that gold does not list and that every view labels as unrelated has no row.
    """
    example = report.example
    columns: dict[str, Example | Prediction] = {"gold": example, **report.predictions}
    cells: dict[_RowKey, dict[str, str]] = {}
    shown: set[_RowKey] = set()
    for name, record in columns.items():
        for annotation in record.annotations:
            key = (annotation.spans, type(annotation).__name__)
            score = "" if annotation.score is None else f" {annotation.score:.2f}"
            cells.setdefault(key, {})[name] = annotation.label + score
            if record is example or annotation.label != NO_RELATION:
                shown.add(key)
    title = "" if shown else "no annotations"
    table = Table(title, *columns, box=None, padding=(0, 2, 0, 0), header_style="bold")
    for key in sorted(shown, key=lambda key: (len(key[0]), key)):
        table.add_row(_span_title(key[0], example), *(Text(printable(cells[key].get(name, "–"))) for name in columns))
    return table


def _span_title(spans: tuple[Span, ...], example: Example) -> Text:
    return Text(printable(" → ".join(f"{example.words_of(span)} [{span.start}, {span.end})" for span in spans)))
