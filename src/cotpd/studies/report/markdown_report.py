"""The report of a study as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from cotpd.studies.report.results import ComparisonResult, Results
from cotpd.studies.report.verdict import remarks, verdict_of
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


def markdown_report(results: Results) -> str:
    """Format the comparisons, the scores, the failures, and the commands that reproduce the figures."""
    return "\n".join(_lines(results)) + "\n"


def _lines(results: Results) -> Iterator[str]:
    yield f"# {results.name}"
    if results.question:
        yield from ("", results.question)
    yield from ("", progress_summary(results), "")
    yield from _comparisons(results)
    yield from _scores(results)
    for title, reasons in (("Failures", results.failures), ("Not finished", results.unfinished)):
        if reasons:
            yield from ("", f"## {title}", "", *_reasons(reasons))
    yield from ("", "## The runs", "", *_runs(results))
    yield from ("", "## How the figures are computed", "", "\n\n".join(EXPLANATION))
    commands = dict.fromkeys(command for row in results.rows for command in row.commands)
    yield from ("", "## Commands", "", "```bash", *dict.fromkeys([results.command, *commands]), "```")


def _comparisons(results: Results) -> Iterator[str]:
    yield from (f"- {_sentence(result)}" for result in results.compared)
    if results.compared:
        yield from ("", "## Comparisons", "")
        yield from _table(COMPARISON_HEADER, [comparison_cells(result) for result in results.compared])


def _scores(results: Results) -> Iterator[str]:
    for score in dict.fromkeys(row.score for row in results.rows):
        rows = [row for row in results.rows if row.score == score]
        yield from ("", f"## Scores on {score}", "", *_table(SCORE_HEADER, [score_cells(row) for row in rows]))
        header, groups = by_training_table(rows)
        if groups:
            yield from ("", f"### {BY_TRAINING_TITLE}", "", BY_TRAINING_NOTE, "", *_table(header, groups))


def _runs(results: Results) -> Iterator[str]:
    for name, note in results.notes.items():
        texts = [*(["a control"] if name in results.controls else []), _single_line(note)]
        yield f"- {name}" + ": ".join(["", *filter(None, texts)])


def _reasons(reasons: Mapping[str, str]) -> Iterator[str]:
    return (f"- {name}: {_single_line(reason)}" for name, reason in reasons.items())


def _sentence(result: ComparisonResult) -> str:
    notes = "".join(f" ({remark})" for remark in remarks(result))
    return f"{_single_line(result.name)}: **{verdict_of(result).value}**, " + "; ".join(headline(result)) + "." + notes


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield _table_row(header)
    yield "|" + "---|" * len(header)
    yield from map(_table_row, rows)


def _table_row(values: Sequence[str]) -> str:
    return "| " + " | ".join(_single_line(value).replace("|", "\\|") for value in values) + " |"


def _single_line(text: str) -> str:
    return " ".join(text.split())
