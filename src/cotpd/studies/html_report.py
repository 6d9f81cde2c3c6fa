"""The report of a study as one HTML file that needs no network: tables, plots, and the command beside each figure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from cotpd.studies.markdown_report import (
    COMPARED_HEADER,
    compared_cells,
    explained,
    score_cells,
    score_header,
)
from cotpd.studies.plots import Dot, dot_plot, learning_curves
from cotpd.studies.results import Compared, Results, Row

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1b1b1b; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .8rem .3rem 0; text-align: left; border-bottom: 1px solid #e4e4e4; white-space: nowrap; }
svg { width: 100%; max-width: 47.5rem; height: auto; font: 12px system-ui, sans-serif; }
pre { background: #f6f6f6; padding: .8rem; overflow-x: auto; font-size: .8rem; }
.failed { border-left: 4px solid #b3264a; padding-left: 1rem; } summary { cursor: pointer; color: #5b5b5b; }
p.small { color: #5b5b5b; font-size: .9rem; }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def html_report(results: Results) -> str:
    """The whole page."""
    title = escape(results.name)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body>\n<h1>{title}</h1>\n"
        + "\n".join(_sections(results))
        + "\n</body></html>\n"
    )


def _sections(results: Results) -> Iterator[str]:
    if results.question:
        yield f"<p>{escape(results.question)}</p>"
    yield f'<p class="small">{escape(explained(results))}</p>'
    if results.failures:
        yield '<div class="failed"><h2>What failed</h2>' + _listed(results.failures.items()) + "</div>"
    if results.compared:
        yield "<h2>Comparisons</h2>" + _compared(results.compared) + _commands([results.command])
    for score in dict.fromkeys(row.score for row in results.rows):
        yield from _scores(score, [row for row in results.rows if row.score == score], results)
    if any(curve.points for curve in results.curves):
        yield "<h2>Learning curves: dev F1 by update, in the view that ships</h2>"
        yield learning_curves([curve for curve in results.curves if curve.points], title="dev F1 by update")
        yield _commands([results.command])
    if results.notes:
        yield "<h2>The runs</h2>" + _listed(results.notes.items())


def _compared(compared: Sequence[Compared]) -> str:
    dots = [Dot(one.name, 100 * one.lead, 100 * one.interval.low, 100 * one.interval.high) for one in compared]
    plot = dot_plot(dots, title="lead over the baseline, in points of F1", zero=True)
    return plot + _table(COMPARED_HEADER, [compared_cells(one) for one in compared])


def _scores(score: str, rows: Sequence[Row], results: Results) -> Iterator[str]:
    yield f"<h2>{escape(score)}: {rows[0].num_posts:,} posts</h2>"
    yield dot_plot([_dot(row) for row in rows], title=f"micro F1 on {score}")
    yield _table(score_header(results), [score_cells(row) for row in rows])
    if len({row.view for row in rows}) > 1:
        yield "<h3>Each training against each view</h3>" + _matrix(rows)
    yield _commands([command for row in rows for command in row.commands])


def _dot(row: Row) -> Dot:
    values = tuple(100 * value for value in row.values.values())
    label = row.run if row.ships else f"{row.run}, {row.view}"
    return Dot(label, 100 * row.mean, 100 * row.interval.low, 100 * row.interval.high, values)


def _matrix(rows: Sequence[Row]) -> str:
    views, found = list(dict.fromkeys(row.view for row in rows)), {(row.run, row.view): row for row in rows}
    lines = [
        (run, *(f"{100 * found[run, view].mean:.2f}" if (run, view) in found else "–" for view in views))
        for run in dict.fromkeys(row.run for row in rows)
    ]
    return _table(("run", *views), lines)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _commands(commands: Sequence[str]) -> str:
    lines = "\n".join(escape(command) for command in dict.fromkeys(commands))
    return f"<details><summary>remade by</summary><pre>{lines}</pre></details>"


def _listed(items: Iterable[tuple[str, str]]) -> str:
    return "<ul>" + "".join(f"<li><b>{escape(name)}</b>: {escape(text)}</li>" for name, text in items) + "</ul>"
