"""`cotpd store`: inspect, export, import and repair a request store."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cotpd.cli.display.terminal import echo, printable

if TYPE_CHECKING:
    from cotpd.llm.store.request_store import RequestStore


def store(
    path: Annotated[Path, typer.Argument(help="Request store, for example DATA/requests.sqlite.")],
    export: Annotated[Path | None, typer.Option("--export", help="New JSONL file for all answers.")] = None,
    import_: Annotated[Path | None, typer.Option("--import", help="JSONL file whose answers are added.")] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Set a damaged store aside and recover its readable answers.")
    ] = False,
    forget_batch: Annotated[
        str | None, typer.Option("--forget-batch", help="Batch file that was never submitted, or is lost.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the statistics as JSON.")] = False,
) -> None:
    """Print what a request store holds; export, import or repair its answers.

    An imported answer serves the same question to the same model at the same endpoint without a call.

    Examples:

        cotpd store data/twitter2017/requests.sqlite

        cotpd store mine.sqlite --import published.jsonl
    """
    from cotpd.core.errors import UsageError
    from cotpd.core.files import real_path
    from cotpd.llm.store.exchange import export_answers, import_answers
    from cotpd.llm.store.request_store import RequestStore

    if not path.exists() and not import_:
        raise UsageError(f"{path}: no such request store; check the path")
    if export and (export.is_file() or real_path(export) == real_path(path)):
        raise UsageError(f"{export} exists and is never overwritten; choose another name or remove it")
    with RequestStore(path, read_only=not (repair or import_ or forget_batch)) as opened:
        if opened.salvaged is not None:
            echo(f"{path} was damaged; {opened.salvaged:,} of its answers were recovered", err=True)
        if import_:
            echo(f"{import_answers(opened, import_):,} answers imported", err=True)
        if forget_batch:
            count = opened.forget_batch(forget_batch) or opened.forget_batch(str(Path(forget_batch).absolute()))
            echo(f"{count:,} questions of {forget_batch} are open again", err=True)
        if export:
            echo(f"{export}: {export_answers(opened, export):,} answers", err=True)
        _print(opened, as_json=as_json)


def _print(opened: RequestStore, *, as_json: bool) -> None:
    rows, counts = _statistics(opened)
    if as_json:
        echo(json.dumps({"models": rows, **counts}))
        return
    for row in rows:
        echo(
            f"{printable(row['model'])} at {printable(row['endpoint'])}: {row['answers']:,} answers, "
            f"{row['rejected']:,} of them rejected; {row['prompt_tokens']:,} prompt tokens, "
            f"{row['completion_tokens']:,} completion tokens"
        )
    for batch, num_questions in counts["batches"].items():
        echo(f"{printable(batch)}: {num_questions:,} open questions in this batch")
    echo(f"{counts['failed_attempts']:,} rejected or failed attempts; {counts['damaged']:,} damaged rows")


def _statistics(opened: RequestStore) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    damaged_before = opened.num_damaged
    for _ in opened:
        pass
    num_failed = sum(1 for _ in opened.failed_attempts())
    damaged = opened.num_damaged - damaged_before
    return [asdict(row) for row in opened.statistics()], {
        "failed_attempts": num_failed,
        "damaged": damaged,
        "batches": opened.batches(),
    }
