"""`cotpd check`: print the statistics of a corpus and all of its defects with ``file:line``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cotpd.cli.display.answers_report import AnswersReport
from cotpd.cli.display.terminal import echo, echo_json, plain_console, printable

if TYPE_CHECKING:
    from rich.table import Table

    from cotpd.corpus.defects import Defect
    from cotpd.corpus.inspection import Inspection
    from cotpd.corpus.statistics import SidecarStatistics, SplitStatistics, Statistics


def check(
    data: Annotated[Path, typer.Argument(help="A corpus directory with train, dev and test files, or a single file.")],
    limit: Annotated[int, typer.Option(min=0, help="Maximum number of defects to print per kind.")] = 5,
    answers: Annotated[
        bool, typer.Option(help="Also measure the knowledge of each language model, and their agreement.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON with all defects instead of tables.")] = False,
) -> None:
    """Print the statistics of a corpus and all of its defects with file and line.

    Errors prevent the corpus from being loaded, and the exit code is 5. With warnings only, the exit code is 0.

    Examples:

        cotpd check data/twitter2017

        cotpd check data/twitter2017 --answers

        cotpd check posts.jsonl --json | jq '.defects[] | select(.severity == "error")'
    """
    from cotpd.corpus.inspection import inspect

    inspection = inspect(data)
    measured = AnswersReport.of(inspection.corpus) if answers else None
    if as_json:
        report = _to_dict(inspection) | (measured.to_dict() if measured else {})
        echo_json(json.dumps(report, ensure_ascii=False, indent=2))
    else:
        _print(inspection, limit)
        for line in measured.lines() if measured else ():
            echo(line)
    if inspection.num_errors:
        raise typer.Exit(5)


def _to_dict(inspection: Inspection) -> dict[str, Any]:
    return {
        "statistics": asdict(inspection.statistics),
        "versions": {str(file): asdict(version) for file, version in inspection.versions.items()},
        "schemes": {str(file): scheme for file, scheme in inspection.schemes.items()},
        "errors": inspection.num_errors,
        "warnings": len(inspection.defects) - inspection.num_errors,
        "kinds": dict(Counter(defect.kind for defect in inspection.defects)),
        "defects": [asdict(defect) for defect in inspection.defects],
    }


def _print(inspection: Inspection, limit: int) -> None:
    statistics = inspection.statistics
    if statistics.splits:
        plain_console().print(_split_table(statistics))
    for what, sidecar in (("captions", statistics.captions), ("knowledge", statistics.knowledge)):
        if sidecar:
            echo(_sidecar_line(what, sidecar))
    for file, version in inspection.versions.items():
        echo(f"{file}: {version}")
    for file, scheme in inspection.schemes.items():
        echo(f"{file}: tags {scheme}")
    for line in _defect_lines(inspection.defects, limit):
        echo(line)
    warnings = len(inspection.defects) - inspection.num_errors
    echo(f"\n{inspection.num_errors} errors, {warnings} warnings")


def _split_table(statistics: Statistics) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for split in statistics.splits:
        table.add_column(split, justify="right")
    columns = [_rows(counts, statistics) for counts in statistics.splits.values()]
    for name in columns[0]:
        table.add_row(printable(name), *(f"{column[name]:,}" for column in columns))
    return table


def _rows(counts: SplitStatistics, statistics: Statistics) -> dict[str, int]:
    """Return the column of one split. All columns have the same rows."""
    splits = tuple(statistics.splits.values())
    return {
        "posts": counts.posts,
        "words": counts.words,
        "words in the longest post": counts.longest,
        "images": counts.images,
        "posts without entities": counts.without_entities,
        "entities (conlleval)": counts.num_entities,
        "entities (strict, without orphans)": counts.strict_entities,
        **_by_label(counts.entities, [each.entities for each in splits]),
        "relations": sum(counts.relations.values()),
        **_by_label(counts.relations, [each.relations for each in splits]),
        **_sentiment_rows(counts, splits),
        "posts with a caption": counts.with_caption,
        **{f"posts with {grain} knowledge": number for grain, number in counts.with_knowledge.items()},
    }


def _sentiment_rows(counts: SplitStatistics, splits: Sequence[SplitStatistics]) -> dict[str, int]:
    """Return the targets by sentiment, or nothing for a corpus without targets."""
    every_split = [each.sentiments for each in splits]
    if not any(every_split):
        return {}
    return {"targets with a sentiment": sum(counts.sentiments.values()), **_by_label(counts.sentiments, every_split)}


def _by_label(counts: Mapping[str, int], every_split: list[Mapping[str, int]]) -> dict[str, int]:
    labels = sorted({label for counts_of_split in every_split for label in counts_of_split})
    return {f"  {label}": counts.get(label, 0) for label in labels}


def _sidecar_line(what: str, sidecar: SidecarStatistics) -> str:
    sources = ", ".join(f"{rows:,} rows by {name or 'an unnamed source'}" for name, rows in sidecar.rows.items())
    ignored = {"blank": sidecar.blank, "repeated": sidecar.repeated, "without a post": sidecar.unmatched}
    counts = "".join(f"; {count:,} {kind}" for kind, count in ignored.items() if count)
    choice = f"; using {sidecar.chosen or 'the unnamed source'}" if len(sidecar.rows) > 1 else ""
    return f"{what}: {sources or 'no rows'}{choice}{counts}"


def _defect_lines(defects: tuple[Defect, ...], limit: int) -> Iterator[str]:
    """Yield the defects by kind with counts, errors first."""
    ordered = sorted(defects, key=lambda defect: (defect.severity, defect.kind))
    for (severity, kind), group in groupby(ordered, key=lambda defect: (defect.severity, defect.kind)):
        members = list(group)
        yield f"\n{severity} {kind} ({len(members):,})"
        yield from (f"  {defect.where}: {defect.message}" for defect in members[:limit])
        if len(members) > limit:
            yield f"  … and {len(members) - limit:,} more (print them with --limit {len(members)})"
