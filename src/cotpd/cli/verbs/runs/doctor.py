"""`cotpd doctor`: check the environment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from cotpd.cli.display.terminal import echo
from cotpd.core.errors import MissingExtraError


def doctor(
    directory: Annotated[Path, typer.Argument(help="Where runs will be saved, for the disk space.")] = Path(),
    online: Annotated[bool, typer.Option("--online", help="Also check that the Hugging Face hub answers.")] = False,
    base_url: Annotated[
        str | None, typer.Option(help="Also check that the language model at this address answers.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Check the versions, extras, devices, weights, disk space and encoding of this environment.

    Ends with exit code 6 if something needs to be repaired. An extra that is not installed is reported but is no
    failure. Opens no connection without --online or --base-url, and sends no API key.

    Examples:

        cotpd doctor

        cotpd doctor --base-url http://localhost:8000/v1 --json
    """
    from cotpd.diagnosis.environment import EnvironmentStatus, check_environment

    report = check_environment(directory=directory, online=online, base_url=base_url)
    echo(json.dumps(report.to_dict(), indent=2) if as_json else str(report))
    if report.is_broken:
        broken = [check.name for check in report.checks if check.status is EnvironmentStatus.BROKEN]
        raise MissingExtraError(f"to be repaired: {', '.join(broken)}; each line above says how")
