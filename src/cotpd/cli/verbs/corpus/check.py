"""`cotpd check`: a corpus becomes its statistics and every defect, with file:line."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cotpd.cli.display.answers_report import AnswersReport

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from cotpd.corpus.defects import Defect
    from cotpd.corpus.inspection import Inspection
    from cotpd.corpus.statistics import CompanionStatistics, SplitStatistics, Statistics


def check(
    data: Annotated[Path, typer.Argument(help="A corpus directory with train, dev and test files, or one file.")],
    limit: Annotated[int, typer.Option(min=0, help="Show so many defects of each kind; the rest is counted.")] = 5,
    captioner: Annotated[str | None, typer.Option(help="Use the captions of this captioner.")] = None,
    knowledge_model: Annotated[str | None, typer.Option(help="Use the knowledge of this language model.")] = None,
    answers: Annotated[bool, typer.Option(help="Measure each model's knowledge, and how far they agree.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON with every defect instead of tables.")] = False,
) -> None:
    """Count what a corpus holds and list everything that is wrong or odd in it, with file and line.

    Errors are what stops the corpus from being loaded; then the exit code is 5. Mere warnings leave it 0.

    Examples:

        cotpd check data/twitter2017

        cotpd check data/twitter2017 --answers

        cotpd check posts.jsonl --json | jq '.defects[] | select(.severity == "error")'
    """
    from rich.console import Console

    from cotpd.corpus.inspection import inspect

    inspection = inspect(data, captioner=captioner, knowledge_model=knowledge_model)
    measured = AnswersReport.of(inspection.corpus) if answers else None
    if as_json:
        found = _to_dict(inspection) | (measured.to_dict() if measured else {})
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
    else:
        console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
        _print(inspection, limit, console)
        for line in measured.lines() if measured else ():
            console.print(line)
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


def _print(inspection: Inspection, limit: int, console: Console) -> None:
    statistics = inspection.statistics
    if statistics.splits:
        console.print(_split_table(statistics))
    for what, companion in (("captions", statistics.captions), ("knowledge", statistics.knowledge)):
        if companion:
            console.print(_companion_line(what, companion))
    for file, version in inspection.versions.items():
        console.print(f"{file}: {version}")
    for file, scheme in inspection.schemes.items():
        console.print(f"{file}: tags {scheme}")
    for line in _defect_lines(inspection.defects, limit):
        console.print(line)
    warnings = len(inspection.defects) - inspection.num_errors
    console.print(f"\n{inspection.num_errors} errors, {warnings} warnings")


def _split_table(statistics: Statistics) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for split in statistics.splits:
        table.add_column(split, justify="right")
    columns = [_rows(counts, statistics) for counts in statistics.splits.values()]
    for name in columns[0]:
        table.add_row(name, *(f"{column[name]:,}" for column in columns))
    return table


def _rows(counts: SplitStatistics, statistics: Statistics) -> dict[str, int]:
    """The column of one split; all have the same rows."""
    splits = statistics.splits.values()
    return {
        "posts": counts.posts,
        "words": counts.words,
        "words of the longest post": counts.longest,
        "images": counts.images,
        "posts without entities": counts.without_entities,
        "entities (conlleval)": counts.num_entities,
        "entities (strict, without orphans)": counts.strict_entities,
        **_by_label(counts.entities, [each.entities for each in splits]),
        "relations": sum(counts.relations.values()),
        **_by_label(counts.relations, [each.relations for each in splits]),
        "posts with a caption": counts.with_caption,
        **{f"posts with {grain} knowledge": number for grain, number in counts.with_knowledge.items()},
    }


def _by_label(counts: Mapping[str, int], every_split: list[Mapping[str, int]]) -> dict[str, int]:
    labels = sorted({label for counts_of_split in every_split for label in counts_of_split})
    return {f"  {label}": counts.get(label, 0) for label in labels}


def _companion_line(what: str, companion: CompanionStatistics) -> str:
    makers = ", ".join(f"{rows:,} by {name or 'nobody named'}" for name, rows in companion.rows.items())
    left_out = {"blank": companion.blank, "repeated": companion.repeated, "of no post": companion.unmatched}
    counts = "".join(f"; {count:,} {kind}" for kind, count in left_out.items() if count)
    choice = f"; {companion.chosen or 'nobody named'} is used" if len(companion.rows) > 1 else ""
    return f"{what}: {makers or 'no rows'}{choice}{counts}"


def _defect_lines(defects: tuple[Defect, ...], limit: int) -> Iterator[str]:
    """The defects by kind, errors first, each kind with its count."""
    ordered = sorted(defects, key=lambda defect: (defect.severity, defect.kind))
    for (severity, kind), group in groupby(ordered, key=lambda defect: (defect.severity, defect.kind)):
        members = list(group)
        yield f"\n{severity} {kind} ({len(members):,})"
        yield from (f"  {defect.where}: {defect.message}" for defect in members[:limit])
        if len(members) > limit:
            yield f"  … and {len(members) - limit:,} more (--limit {len(members)})"
