"""`cotpd distill`: train a student as a configuration file says."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer

from cotpd.cli.display.tasks import DISPLAYS
from cotpd.cli.display.training_bar import TrainingBar


def distill(
    config: Annotated[Path, typer.Argument(help="A TOML file such as those in configs/.")],
    change: Annotated[list[str] | None, typer.Option("--set", help="Change one key: section.key=value.")] = None,
    out: Annotated[Path | None, typer.Option(help="The run directory; by default runs/NAME-seedN.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")] = False,
) -> None:
    """Train a student as a configuration file says.

    The run directory holds config.toml, environment.json, metrics.jsonl, summary.json, predictions.dev.jsonl and
    model/.

    Examples:

        cotpd distill configs/twitter2017.toml --set data.path=data/twitter2017

        cotpd distill configs/twitter2017.toml --set seed=2 --set optimisation.epochs=3 --resume
    """
    from cotpd.core.config import ExperimentConfig
    from cotpd.distillation.corpora import read_corpus
    from cotpd.distillation.distributed import processes
    from cotpd.distillation.recipe import distill as train

    experiment = ExperimentConfig.read(config, change or [])
    run = out or Path("runs") / f"{config.stem}-seed{experiment.seed}"
    is_main_process = processes().is_main_process
    with TrainingBar(shown=is_main_process) as bar:
        train(read_corpus(experiment.data), config=experiment, out=run, resume=resume, listener=bar.show)
    if is_main_process:
        hint = DISPLAYS[experiment.task].command_after_training(run, experiment.data.path)
        typer.echo(f"{run}: {_score(run)}\ntry: {shlex.join(hint)}")


def _score(run: Path) -> str:
    from cotpd.distillation.run_evaluation import run_corpus_config, scoring_mode

    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    return f"dev F1 {100 * summary['best_f1']:.2f} (micro, {scoring_mode(run_corpus_config(run))})"
