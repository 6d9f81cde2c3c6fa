"""The report of a study as one HTML file that works without a network.

The template ``report.html`` has all tags and escapes all text; only the plots and the style are inserted as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from importlib.resources import files
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from cotpd.studies.report.plots import Dot, dot_plot, learning_curves
from cotpd.studies.report.results import ComparisonResult, Results, ScoreRow
from cotpd.studies.report.verdict import is_alarm, remarks, verdict_of
from cotpd.studies.report.wording import (
    BY_TRAINING_NOTE,
    BY_TRAINING_TITLE,
    COMPARISON_HEADER,
    EXPLANATION,
    SCORE_HEADER,
    by_training_table,
    comparison_cells,
    headline,
    progress_summary,
    score_cells,
)

_MAX_ANSWERS = 12
_MAX_DOTS = 30
"""The maximum number of rows in a plot of scores; with more, it shows only deployed views."""
_NUMBER = re.compile(r"[+−-]?\d[\d,.]*( ± [\d.]+| \([\d,]+\))?|\[.*\]|–|\d+ / \d+")


class TableCell(NamedTuple):
    """The text of a cell, its CSS class, and a badge after the text."""

    text: str
    kind: str = ""
    badge: str = ""


class HtmlTable(NamedTuple):
    """A table whose first column names the rows. Columns of numbers are aligned to the right."""

    header: Sequence[str]
    rows: Sequence[Sequence[TableCell]]
    name: str

    def kind_of_column(self, number: int) -> str:
        """Return the CSS class of a column."""
        return "number" if all(_NUMBER.fullmatch(row[number].text) for row in self.rows) else ""


class Plot(NamedTuple):
    """A plot as SVG, with its caption, and its name for screen readers."""

    svg: str
    caption: str
    name: str


class VerdictItem(NamedTuple):
    """The verdict of a comparison. ``kind`` is its CSS class."""

    name: str
    kind: str
    verdict: str
    lead: str
    details: str
    remarks: Sequence[str]


class ComparisonSection(NamedTuple):
    """All comparisons."""

    plot: Plot
    table: HtmlTable


class ScoreSection(NamedTuple):
    """The scores on one set of examples."""

    name: str
    posts: str
    plot: Plot
    table: HtmlTable
    by_training: HtmlTable | None
    matrix: HtmlTable | None
    commands: Sequence[str]


def html_report(results: Results) -> str:
    """Format the whole page."""
    environment = Environment(
        loader=PackageLoader("cotpd.studies", "report"), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("report.html").render(
        results=results,
        style=(files("cotpd.studies.report") / "report.css").read_text(encoding="utf-8"),
        summary=progress_summary(results),
        answers=[_answer(one) for one in results.compared[:_MAX_ANSWERS]],
        comparisons=_comparisons(results) if results.compared else None,
        scores=list(_scores(results)),
        curves=list(_curves(results)),
        missing=list(_missing(results)),
        runs=_runs(results),
        by_training_title=BY_TRAINING_TITLE,
        by_training_note=BY_TRAINING_NOTE,
        explanation=EXPLANATION,
    )


def _answer(one: ComparisonResult) -> VerdictItem:
    verdict = verdict_of(one).value
    lead, *rest = headline(one)
    return VerdictItem(one.name, "alarm" if is_alarm(one) else verdict, verdict, lead, "; ".join(rest), remarks(one))


def _comparisons(results: Results) -> ComparisonSection:
    dots = [
        Dot(
            result.name,
            100 * result.lead,
            100 * result.interval.low,
            100 * result.interval.high,
            figure=headline(result)[0],
            is_hollow=result.run_is_control,
        )
        for result in results.compared
    ]
    plot = dot_plot(dots, title="Leads over the baseline", axis="lead, in points of micro F1", zero=True)
    rows = [[TableCell(text) for text in comparison_cells(result)] for result in results.compared]
    for result, row in zip(results.compared, rows, strict=True):
        row[1] = TableCell(row[1].text, verdict_of(result).value)
        row[2], row[-1] = TableCell(row[2].text, "text"), TableCell(row[-1].text, "text")
    caption = "Dot: difference of the means; bar: 95 % interval; dashed and hollow: the run is a control."
    table = HtmlTable(COMPARISON_HEADER, rows, "comparisons")
    return ComparisonSection(Plot(plot, caption, "plot of the comparisons"), table)


def _scores(results: Results) -> Iterator[ScoreSection]:
    for score in dict.fromkeys(row.score for row in results.rows):
        yield _score_section(score, [row for row in results.rows if row.score == score], results)


def _score_section(score: str, rows: Sequence[ScoreRow], results: Results) -> ScoreSection:
    sizes = {row.num_posts for row in rows}
    has_views = len(rows) > len({row.run for row in rows})
    return ScoreSection(
        name=score,
        posts=f"{sizes.pop():,} posts" if len(sizes) == 1 else "posts of several corpora, which are not comparable",
        plot=_score_plot(score, rows, results),
        table=HtmlTable(SCORE_HEADER, [_score_row(row, results) for row in rows], f"scores on {score}"),
        by_training=_by_training(score, rows, results),
        matrix=_matrix(rows, results) if has_views else None,
        commands=[results.command, *(command for row in rows for command in row.commands)],
    )


def _by_training(score: str, rows: Sequence[ScoreRow], results: Results) -> HtmlTable | None:
    header, groups = by_training_table(rows)
    cells = [(_run_cell(run, results), *map(TableCell, others)) for run, *others in groups]
    return HtmlTable(header, cells, f"scores on {score} by occurrence in training") if groups else None


def _score_plot(score: str, rows: Sequence[ScoreRow], results: Results) -> Plot:
    shown = [row for row in rows if row.is_deployed] if len(rows) > _MAX_DOTS else rows
    dots = [_dot(row, is_hollow=row.run in results.controls) for row in shown]
    caption = "Dot: mean over seeds; ticks: single seeds; bar: 95 % interval; dashed and hollow: a control."
    caption += "" if len(shown) == len(rows) else " The plot shows only deployed views; the table has all."
    plot = dot_plot(dots, title=f"Micro F1 on {score}", axis="micro F1, in percent")
    return Plot(plot, caption, f"plot of the scores on {score}")


def _score_row(row: ScoreRow, results: Results) -> tuple[TableCell, ...]:
    _, view, *figures = score_cells(row)
    first, *others = figures
    cells = (TableCell(view), TableCell(first, "deployed" if row.is_deployed else ""), *map(TableCell, others))
    return (_run_cell(row.run, results), *cells)


def _dot(row: ScoreRow, *, is_hollow: bool) -> Dot:
    values = tuple(100 * value for value in row.values.values())
    low, high = (100 * bound for bound in row.interval)
    label = f"{row.run}, {row.view} view" + (" (deployed)" if row.is_deployed else "")
    return Dot(label, 100 * row.mean, low, high, values, f"{100 * row.mean:.2f}", is_hollow)


def _matrix(rows: Sequence[ScoreRow], results: Results) -> HtmlTable:
    """Build the table of the mean of every run in every view."""
    views, by_view = list(dict.fromkeys(row.view for row in rows)), {(row.run, row.view): row for row in rows}
    lines = []
    for run in dict.fromkeys(row.run for row in rows):
        cells = [by_view.get((run, view)) for view in views]
        lines.append((_run_cell(run, results), *map(_matrix_cell, cells)))
    return HtmlTable(("run", *(f"{view} view" for view in views)), lines, "runs and views")


def _matrix_cell(row: ScoreRow | None) -> TableCell:
    return TableCell(f"{100 * row.mean:.2f}", "deployed" if row.is_deployed else "") if row else TableCell("–")


def _curves(results: Results) -> Iterator[tuple[str, str]]:
    curves = [curve for curve in results.curves if curve.points]
    if curves:
        yield from learning_curves(curves)


def _missing(results: Results) -> Iterator[tuple[str, HtmlTable]]:
    for title, reasons in (("Failures", results.failures), ("Not finished", results.unfinished)):
        if reasons:
            rows = [(TableCell(name), TableCell(reason, "text")) for name, reason in reasons.items()]
            yield title, HtmlTable(("run or comparison", "reason"), rows, title.lower())


def _runs(results: Results) -> HtmlTable:
    seeds = {run: {seed for row in results.rows if row.run == run for seed in row.values} for run in results.notes}
    lines = [
        (
            _run_cell(run, results),
            TableCell(", ".join(map(str, sorted(seeds[run]))) or "not scored"),
            TableCell(note, "text"),
        )
        for run, note in results.notes.items()
    ]
    return HtmlTable(("run", "scored seeds", "description"), lines, "the runs")


def _run_cell(name: str, results: Results) -> TableCell:
    return TableCell(name, badge="control" if name in results.controls else "")
