"""`cotpd diagnose`: what went wrong in a run, with figures, and what to change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from cotpd.cli.display.terminal import printable


def diagnose(
    run: Annotated[Path, typer.Argument(help="A finished run directory.")],
    data: Annotated[Path | None, typer.Argument(help="A corpus; by default the one the run was trained on.")] = None,
    split: Annotated[Literal["dev", "test"], typer.Option(help="The posts to look at.")] = "dev",
    against: Annotated[
        list[Path] | None,
        typer.Option(help="A run of the knowledge-enhanced view alone, or without variants; repeatable."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Look for the known failures of distillation in a run: which show, by which figures, and what to change.

    A student that has not learnt, knowledge that is worth nothing to its reader, the alignment that did not take
    (distance of the views by type, of entities seen and unseen in training), a target that memorised its labels,
    prompts that collapsed, augmentation that hurts (label noise, drift), and with --against multimodal inputs that got
    worse. The exit code is 0 whatever is found; programs read --json.

    Examples:

        cotpd diagnose runs/twitter2017-seed1

        cotpd diagnose runs/twitter2017-seed1 data/twitter2017 --against runs/twitter2017-knowledge-seed1
    """
    from cotpd.diagnosis.diagnosis import diagnose as examine
    from cotpd.diagnosis.finding import summary

    findings = examine(run, data, split=split, against=against or ())
    if as_json:
        typer.echo(json.dumps([finding.to_dict() for finding in findings], indent=2))
    else:
        typer.echo(printable("\n\n".join([summary(findings), *map(str, findings)])))
