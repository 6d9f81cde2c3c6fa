"""`cotpd diagnose`: find known failures in a run, with figures and advice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from cotpd.cli.display.counting_bar import CountingBar
from cotpd.cli.display.terminal import echo


def diagnose(
    run: Annotated[Path, typer.Argument(help="A finished run directory.")],
    data: Annotated[Path | None, typer.Argument(help="A corpus; by default the training corpus of the run.")] = None,
    split: Annotated[Literal["dev", "test"], typer.Option(help="The split to examine the run on.")] = "dev",
    against: Annotated[
        list[Path] | None,
        typer.Option(
            help="A run to compare with: of the knowledge-enhanced view only, or without variants; repeatable."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Find known failures of distillation in a run, and print the figures and what to change.

    The failures: the student has not learned its task; the knowledge is not used; the alignment failed; the target has
    memorised its labels; the prompts collapsed; the augmentation hurts; and, with --against, the knowledge view got
    worse. The exit code is 0 whether or not a failure is found; use --json in programs.

    Examples:

        cotpd diagnose runs/twitter2017-seed1

        cotpd diagnose runs/twitter2017-seed1 data/twitter2017 --against runs/twitter2017-knowledge-seed1
    """
    from cotpd.diagnosis.diagnosis import diagnose as measure
    from cotpd.diagnosis.finding import summarise

    with CountingBar("measurements") as bar:
        findings = measure(run, data, split=split, against=against or (), progress=bar.show)
    if as_json:
        echo(json.dumps([finding.to_dict() for finding in findings], indent=2))
    else:
        echo("\n\n".join([summarise(findings), *map(str, findings)]))
