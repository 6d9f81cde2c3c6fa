"""`cotpd store`: what a request store holds; its answers out, in and mended."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cotpd.cli.display.terminal import printable

if TYPE_CHECKING:
    from cotpd.llm.store.request_store import RequestStore


def store(
    path: Annotated[Path, typer.Argument(help="A request store, for instance DATA/requests.sqlite.")],
    export: Annotated[Path | None, typer.Option("--export", help="Write its answers to a new JSONL file.")] = None,
    import_: Annotated[Path | None, typer.Option("--import", help="Take over the answers of this file.")] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Set a damaged store aside, save what can be read.")] = False,
    call_back: Annotated[
        str | None, typer.Option("--call-back", help="Forget a batch file that was never handed in, or is lost.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the statistics as JSON.")] = False,
) -> None:
    """Show, publish, replay or mend the answers that were paid for.

    An imported answer serves the same question to the same model at the same endpoint, and costs nothing.

    Examples:

        cotpd store data/twitter2017/requests.sqlite

        cotpd store mine.sqlite --import published.jsonl
    """
    from cotpd.core.errors import UsageError
    from cotpd.llm.store.exchange import export_answers, import_answers
    from cotpd.llm.store.request_store import RequestStore

    if not path.exists() and not import_:
        raise UsageError(f"{path}: there is no such store; check the path")
    if export and (export.is_file() or export.resolve() == path.resolve()):
        raise UsageError(f"{export} exists and is never overwritten; choose another name or remove it")
    with RequestStore(path, read_only=not (repair or import_ or call_back)) as opened:
        if opened.salvaged is not None:
            typer.echo(f"{path} was damaged; {opened.salvaged:,} of its answers were saved", err=True)
        if import_:
            typer.echo(f"{import_answers(opened, import_):,} answers taken over", err=True)
        if call_back:
            count = opened.call_back(call_back) or opened.call_back(str(Path(call_back).absolute()))
            typer.echo(f"{count:,} questions of {call_back} may be asked again", err=True)
        if export:
            typer.echo(f"{export}: {export_answers(opened, export):,} answers", err=True)
        _print(opened, as_json=as_json)


def _print(opened: RequestStore, *, as_json: bool) -> None:
    rows, counts = _statistics(opened)
    if as_json:
        typer.echo(json.dumps({"models": rows, **counts}))
        return
    for row in rows:
        typer.echo(
            f"{printable(row['model'])} at {printable(row['endpoint'])}: {row['answers']:,} answers, "
            f"{row['rejected']:,} of them rejected; {row['prompt_tokens']:,} tokens read, "
            f"{row['completion_tokens']:,} written"
        )
    for batch, questions in counts["batches"].items():
        typer.echo(f"{printable(batch)}: {questions:,} questions are out in this batch")
    typer.echo(f"{counts['mishaps']:,} attempts were rejected or failed; {counts['damaged']:,} rows are damaged")


def _statistics(opened: RequestStore) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    damaged_before = opened.num_damaged
    for _ in opened:
        pass
    mishaps = sum(1 for _ in opened.mishaps())
    damaged = opened.num_damaged - damaged_before
    return [asdict(row) for row in opened.statistics()], {
        "mishaps": mishaps,
        "damaged": damaged,
        "batches": opened.batches(),
    }
