"""`cotpd evaluate`: score a finished run on a corpus, and compare it with another run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from cotpd.cli.display.counting_bar import CountingBar
from cotpd.cli.display.terminal import echo, printable
from cotpd.core.errors import UsageError
from cotpd.core.files import write_atomic

View = Literal["text", "prompt", "knowledge"]
Mode = Literal["conlleval", "strict"]
Split = Literal["train", "dev", "test"]


def evaluate(
    run: Annotated[Path, typer.Argument(help="A run directory, or a model directory.")],
    data: Annotated[
        Path | None, typer.Argument(help="A corpus, or `sample`; by default the training corpus of the run.")
    ] = None,
    split: Annotated[Split | None, typer.Option(help="Split to score; by default dev, or the only split.")] = None,
    view: Annotated[View | None, typer.Option(help="View to score; by default the deployed view of the run.")] = None,
    mode: Annotated[
        Mode | None,
        typer.Option(
            help="Mode of the scores: conlleval counts gold entities that begin with an I- tag, strict does not; by "
            "default the mode in which the run was scored in training."
        ),
    ] = None,
    against: Annotated[Path | None, typer.Option(help="Another run to compare with, in its deployed view.")] = None,
    entities_from: Annotated[
        Path | None, typer.Option(help="For relations: classify all pairs of the entities that this run finds.")
    ] = None,
    all_pairs: Annotated[
        bool, typer.Option("--all-pairs", help="For relations: classify all pairs of the gold entities.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    out: Annotated[Path | None, typer.Option(help="Also write the JSON to this file.")] = None,
) -> None:
    """Score a finished run on the gold labels of a corpus.

    Prints micro, macro and per-type precision, recall and F1 with a 95 % bootstrap interval, and with --against a
    paired test. For relations it also prints the share of false relations between entities that merely co-occur. The
    knowledge view needs captions.jsonl or knowledge.jsonl beside the corpus.

    Examples:

        cotpd evaluate runs/twitter2017-seed1

        cotpd evaluate runs/twitter2017-seed1 data/twitter2017 --split test

        cotpd evaluate runs/twitter2017-seed1 data/twitter2017 --view knowledge --against runs/text-seed1 --json

        cotpd evaluate runs/mnre-seed1 data/mnre --split dev --entities-from runs/twitter2017-seed1
    """
    from cotpd.distillation.runs.run_evaluation import evaluate_run

    if out:
        _require_report(out)
    with CountingBar("examples") as bar:
        report = evaluate_run(
            run,
            data,
            split=split,
            view=view,
            mode=mode,
            against=against,
            entities_from=entities_from,
            all_pairs=all_pairs,
            progress=bar.show,
        )
    text = json.dumps(report.to_dict(), indent=2)
    echo(text if as_json else printable(str(report)))
    if out:
        _write(out, text + "\n")


def _require_report(out: Path) -> None:
    """Raise `UsageError` if ``out`` is a directory, or a file that is not a report and would be lost."""
    if out.is_dir():
        raise UsageError(f"--out: {out} is a directory; give a file for the JSON")
    if not out.is_file() or not out.stat().st_size:
        return
    try:
        report = json.loads(out.read_bytes())
    except (OSError, ValueError, RecursionError):
        report = None
    if not (isinstance(report, dict) and report.keys() >= {"run", "data"}):
        raise UsageError(f"--out: {out} is no report of `cotpd evaluate` and would be lost; choose another file")


def _write(out: Path, text: str) -> None:
    try:
        write_atomic(out, text)
    except OSError as error:
        raise UsageError(f"--out: cannot write {out} ({error.strerror}); choose another file") from error
