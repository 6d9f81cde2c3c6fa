"""The report of a study as one HTML file that needs no network: the answer, tables, plots, and how each is remade."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files

from cotpd.studies.report.html_table import Cell, commands, table
from cotpd.studies.report.markdown_report import (
    COMPARED_HEADER,
    NAMES_TOLD,
    compared_cells,
    explained,
    headline,
    names_table,
    score_cells,
    score_header,
    state_of_study,
)
from cotpd.studies.report.plots import Dot, dot_plot, learning_curves
from cotpd.studies.report.results import Compared, Results, Row
from cotpd.studies.report.verdict import is_alarm, remarks, verdict_of

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_MOST_ANSWERS = 12
_MOST_DOTS = 30
"""Rows of a plot of scores; beyond, only the views that ship are drawn."""


def html_report(results: Results) -> str:
    """The whole page."""
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
        yield "<h2>Comparisons</h2>" + _compared(results)
    for score in dict.fromkeys(row.score for row in results.rows):
        yield from _scores([row for row in results.rows if row.score == score], results)
    yield from _curves(results)
    for title, told in (("What failed", results.failures), ("What is left", results.unfinished)):
        if told:
            rows = [(Cell(name), Cell(reason, "text")) for name, reason in told.items()]
            yield f"<h2>{title}</h2>" + table(("run or comparison", "why"), rows, name=title.lower())
    yield "<h2>The runs</h2>" + _runs(results)
    yield "<h2>How the figures are made</h2>" + "".join(f"<p>{escape(text)}</p>" for text in explained(results))


def _answers(results: Results) -> Iterator[str]:
    """What the comparisons say, before all figures."""
    if results.failures or results.unfinished:
        yield f'<p class="warning"><b>{escape(state_of_study(results))}</b> What is missing is listed below.</p>'
    else:
        yield f'<p class="soft">{escape(state_of_study(results))}</p>'
    if results.compared:
        yield (
            '<h2 class="first">What the comparisons say</h2><ul class="answers">'
            + "".join(map(_answer, results.compared[:_MOST_ANSWERS]))
            + "</ul>"
        )
    if len(results.compared) > _MOST_ANSWERS:
        yield f"<p>The first {_MOST_ANSWERS} of {len(results.compared)} comparisons; the table below has all.</p>"


def _answer(one: Compared) -> str:
    verdict = verdict_of(one)
    kind = "alarm" if is_alarm(one) else verdict.value
    first, *rest = headline(one)
    notes = "".join(f"<li>{escape(remark)}</li>" for remark in remarks(one))
    return (
        f'<li class="{kind}"><h3>{escape(one.name)}</h3>'
        f'<p><span class="lead">{escape(first)}</span> <span class="verdict">{verdict.value}</span></p>'
        f'<p class="soft">{escape("; ".join(rest))}</p>'
        + (f'<ul class="remarks">{notes}</ul>' if notes else "")
        + "</li>"
    )


def _compared(results: Results) -> str:
    dots = [
        Dot(
            one.name,
            100 * one.lead,
            100 * one.interval.low,
            100 * one.interval.high,
            figure=headline(one)[0],
            is_hollow=one.run_is_control,
        )
        for one in results.compared
    ]
    plot = dot_plot(dots, title="Leads over the baseline", axis="lead, in points of micro F1", zero=True)
    rows = [[Cell(text) for text in compared_cells(one)] for one in results.compared]
    for one, row in zip(results.compared, rows, strict=True):
        row[1] = Cell(row[1].text, verdict_of(one).value)
        row[2], row[-1] = Cell(row[2].text, "text"), Cell(row[-1].text, "text")
    told = "Dot: lead of the means; bar: its 95 % interval; dashed and hollow: the run is a control."
    figures = _figure(plot, told, "plot of the comparisons")
    return figures + table(COMPARED_HEADER, rows, name="comparisons") + commands([results.command])


def _scores(rows: Sequence[Row], results: Results) -> Iterator[str]:
    score, sizes = rows[0].score, {row.num_posts for row in rows}
    posts = f"{sizes.pop():,} posts" if len(sizes) == 1 else "posts of several corpora, not to be compared"
    yield f"<h2>Scores on {escape(score)}: {posts}</h2>"
    drawn = [row for row in rows if row.ships] if len(rows) > _MOST_DOTS else rows
    dots = [_dot(row, is_hollow=row.run in results.controls) for row in drawn]
    told = "Dot: mean over seeds; ticks: single seeds; bar: 95 % interval; dashed and hollow: a control."
    told += "" if len(drawn) == len(rows) else " Only the views that ship are drawn; the table has all."
    plot = dot_plot(dots, title=f"Micro F1 on {score}", axis="micro F1, in percent")
    yield _figure(plot, told, f"plot of the scores on {score}")
    lines = [
        (_run(row.run, results), *(Cell(text, "ships" if row.ships and n == 1 else "") for n, text in enumerate(cells)))
        for row in rows
        for cells in [score_cells(row)[1:]]
    ]
    yield table(score_header(results), lines, name=f"scores on {score}")
    header, names = names_table(rows)
    if names:
        cells = [(_run(run, results), *map(Cell, others)) for run, *others in names]
        yield f'<h3>By what training shows of a name</h3><p class="soft">{escape(NAMES_TOLD)}</p>'
        yield table(header, cells, name=f"names of {score}")
    if len(rows) > len({row.run for row in rows}):
        yield "<h3>Each training against each view</h3>" + _matrix(rows, results)
    yield commands([results.command, *(command for row in rows for command in row.commands)])


def _dot(row: Row, *, is_hollow: bool) -> Dot:
    values = tuple(100 * value for value in row.values.values())
    low, high = (100 * bound for bound in row.interval)
    label = f"{row.run}, {row.view} view" + (" (ships)" if row.ships else "")
    return Dot(label, 100 * row.mean, low, high, values, f"{100 * row.mean:.2f}", is_hollow)


def _matrix(rows: Sequence[Row], results: Results) -> str:
    views, found = list(dict.fromkeys(row.view for row in rows)), {(row.run, row.view): row for row in rows}
    lines = []
    for run in dict.fromkeys(row.run for row in rows):
        cells = [found.get((run, view)) for view in views]
        shown = [Cell(f"{100 * row.mean:.2f}", "ships" if row.ships else "") if row else Cell("–") for row in cells]
        lines.append((_run(run, results), *shown))
    told = '<p class="soft">Mean micro F1; bold: the view that the run ships.</p>'
    return told + table(("trained as", *(f"read as {view}" for view in views)), lines, name="trainings and views")


def _curves(results: Results) -> Iterator[str]:
    curves = [curve for curve in results.curves if curve.points]
    if not curves:
        return
    yield "<h2>Learning curves</h2>"
    told = "Dev F1 in percent by update, in the view that ships. A line for each seed; grey: the other runs."
    yield f'<p class="soft">{told}</p>'
    panels = (f'<div class="panel"><h3>{escape(name)}</h3>{plot}</div>' for name, plot in learning_curves(curves))
    yield '<div class="panels">' + "".join(panels) + "</div>" + commands([results.command])


def _runs(results: Results) -> str:
    seeds = {run: {seed for row in results.rows if row.run == run for seed in row.values} for run in results.notes}
    lines = [
        (_run(run, results), Cell(", ".join(map(str, sorted(seeds[run]))) or "not scored"), Cell(note, "text"))
        for run, note in results.notes.items()
    ]
    return table(("run", "seeds scored", "what it is"), lines, name="the runs")


def _run(name: str, results: Results) -> Cell:
    return Cell(name, badge="control" if name in results.controls else "")


def _figure(plot: str, told: str, name: str) -> str:
    label = escape(name, quote=True)
    return (
        f'<figure><div class="wide plot" tabindex="0" role="region" aria-label="{label}">{plot}</div>'
        f"<figcaption>{escape(told)}</figcaption></figure>"
    )
