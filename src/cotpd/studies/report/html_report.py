"""The report of a study as one HTML file that works without a network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files

from cotpd.studies.report.html_table import TableCell, commands, table
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

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_MAX_ANSWERS = 12
_MAX_DOTS = 30
"""The maximum number of rows in a plot of scores; with more, it shows only deployed views."""


def html_report(results: Results) -> str:
    """Format the whole page."""
    title = escape(results.question or results.name)
    style = (files("cotpd.studies.report") / "report.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(results.name)}: {title}</title><style>{style}</style></head><body>\n<main>\n"
        f'<h1>{title}</h1>\n<p class="soft">Study {escape(results.name)}</p>\n'
        + "\n".join(_sections(results))
        + "\n</main></body></html>\n"
    )


def _sections(results: Results) -> Iterator[str]:
    yield from _answers(results)
    if results.compared:
        yield "<h2>Comparisons</h2>" + _comparisons(results)
    for score in dict.fromkeys(row.score for row in results.rows):
        yield from _scores([row for row in results.rows if row.score == score], results)
    yield from _curves(results)
    for title, reasons in (("Failures", results.failures), ("Not finished", results.unfinished)):
        if reasons:
            rows = [(TableCell(name), TableCell(reason, "text")) for name, reason in reasons.items()]
            yield f"<h2>{title}</h2>" + table(("run or comparison", "reason"), rows, name=title.lower())
    yield "<h2>The runs</h2>" + _runs(results)
    yield "<h2>How the figures are computed</h2>" + "".join(f"<p>{escape(text)}</p>" for text in EXPLANATION)


def _answers(results: Results) -> Iterator[str]:
    """Yield the verdicts of the comparisons, which come before all figures."""
    summary = escape(progress_summary(results))
    if results.failures or results.unfinished:
        yield f'<p class="warning"><b>{summary}</b> See below for what is missing.</p>'
    else:
        yield f'<p class="soft">{summary}</p>'
    if results.compared:
        yield (
            '<h2 class="first">Verdicts</h2><ul class="answers">'
            + "".join(map(_answer, results.compared[:_MAX_ANSWERS]))
            + "</ul>"
        )
    if len(results.compared) > _MAX_ANSWERS:
        yield f"<p>The first {_MAX_ANSWERS} of {len(results.compared)} comparisons; the table below has all.</p>"


def _answer(result: ComparisonResult) -> str:
    verdict = verdict_of(result)
    kind = "alarm" if is_alarm(result) else verdict.value
    lead, *rest = headline(result)
    notes = "".join(f"<li>{escape(remark)}</li>" for remark in remarks(result))
    return (
        f'<li class="{kind}"><h3>{escape(result.name)}</h3>'
        f'<p><span class="lead">{escape(lead)}</span> <span class="verdict">{verdict.value}</span></p>'
        f'<p class="soft">{escape("; ".join(rest))}</p>'
        + (f'<ul class="remarks">{notes}</ul>' if notes else "")
        + "</li>"
    )


def _comparisons(results: Results) -> str:
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
    figure = _figure(plot, caption, "plot of the comparisons")
    return figure + table(COMPARISON_HEADER, rows, name="comparisons") + commands([results.command])


def _scores(rows: Sequence[ScoreRow], results: Results) -> Iterator[str]:
    """Yield the section of one set of examples."""
    score, sizes = rows[0].score, {row.num_posts for row in rows}
    posts = f"{sizes.pop():,} posts" if len(sizes) == 1 else "posts of several corpora, which are not comparable"
    yield f"<h2>Scores on {escape(score)}: {posts}</h2>"
    yield _score_plot(rows, results)
    yield table(SCORE_HEADER, [_score_row(row, results) for row in rows], name=f"scores on {score}")
    header, groups = by_training_table(rows)
    if groups:
        cells = [(_run_cell(run, results), *map(TableCell, others)) for run, *others in groups]
        yield f'<h3>{BY_TRAINING_TITLE}</h3><p class="soft">{escape(BY_TRAINING_NOTE)}</p>'
        yield table(header, cells, name=f"scores on {score} by occurrence in training")
    if len(rows) > len({row.run for row in rows}):
        yield "<h3>Every run in every view</h3>" + _matrix(rows, results)
    yield commands([results.command, *(command for row in rows for command in row.commands)])


def _score_plot(rows: Sequence[ScoreRow], results: Results) -> str:
    score = rows[0].score
    shown = [row for row in rows if row.is_deployed] if len(rows) > _MAX_DOTS else rows
    dots = [_dot(row, is_hollow=row.run in results.controls) for row in shown]
    caption = "Dot: mean over seeds; ticks: single seeds; bar: 95 % interval; dashed and hollow: a control."
    caption += "" if len(shown) == len(rows) else " The plot shows only deployed views; the table has all."
    plot = dot_plot(dots, title=f"Micro F1 on {score}", axis="micro F1, in percent")
    return _figure(plot, caption, f"plot of the scores on {score}")


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


def _matrix(rows: Sequence[ScoreRow], results: Results) -> str:
    """Format the mean of every run in every view."""
    views, by_view = list(dict.fromkeys(row.view for row in rows)), {(row.run, row.view): row for row in rows}
    lines = []
    for run in dict.fromkeys(row.run for row in rows):
        cells = [by_view.get((run, view)) for view in views]
        lines.append((_run_cell(run, results), *map(_matrix_cell, cells)))
    note = '<p class="soft">Mean micro F1; bold: the deployed view of the run.</p>'
    return note + table(("run", *(f"{view} view" for view in views)), lines, name="runs and views")


def _matrix_cell(row: ScoreRow | None) -> TableCell:
    return TableCell(f"{100 * row.mean:.2f}", "deployed" if row.is_deployed else "") if row else TableCell("–")


def _curves(results: Results) -> Iterator[str]:
    curves = [curve for curve in results.curves if curve.points]
    if not curves:
        return
    yield "<h2>Learning curves</h2>"
    note = "Dev F1 in percent by update, in the deployed view. One line for each seed; grey: the other runs."
    yield f'<p class="soft">{note}</p>'
    panels = (f'<div class="panel"><h3>{escape(name)}</h3>{plot}</div>' for name, plot in learning_curves(curves))
    yield '<div class="panels">' + "".join(panels) + "</div>" + commands([results.command])


def _runs(results: Results) -> str:
    seeds = {run: {seed for row in results.rows if row.run == run for seed in row.values} for run in results.notes}
    lines = [
        (
            _run_cell(run, results),
            TableCell(", ".join(map(str, sorted(seeds[run]))) or "not scored"),
            TableCell(note, "text"),
        )
        for run, note in results.notes.items()
    ]
    return table(("run", "scored seeds", "description"), lines, name="the runs")


def _run_cell(name: str, results: Results) -> TableCell:
    return TableCell(name, badge="control" if name in results.controls else "")


def _figure(plot: str, caption: str, name: str) -> str:
    label = escape(name, quote=True)
    return (
        f'<figure><div class="wide plot" tabindex="0" role="region" aria-label="{label}">{plot}</div>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )
