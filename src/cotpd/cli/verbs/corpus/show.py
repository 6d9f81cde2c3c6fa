"""`cotpd show`: print one example with its knowledge, its views, its gold labels and a run's predictions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cotpd.cli.display.example_page import example_page
from cotpd.cli.display.terminal import echo


def show(
    data: Annotated[Path, typer.Argument(help="A corpus directory, or one corpus file.")],
    id: Annotated[str, typer.Argument(help="The id of an example, or of its image.")],
    run: Annotated[str | None, typer.Option(help="Run or model whose pieces and predictions are shown.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show one example: caption, knowledge by grain, views, gold labels and, with --run, predictions.

    Spans count words, the end exclusive. Views are in words, or with --run in the pieces of its encoder. For relations
    each stated pair is encoded on its own, between the markers `[h]` head `[/h]` and `[t]` tail `[/t]`.

    Examples:

        cotpd show data/twitter2017 O_1926

        cotpd show data/twitter2017 O_1926 --run runs/twitter2017-seed1 --json
    """
    from cotpd.distillation.showcase.example_report import show_example

    report = show_example(data, id, run=run)
    if as_json:
        echo(json.dumps(report.to_dict(), indent=2))
    else:
        Console(markup=False, emoji=False, highlight=False).print(example_page(report))
