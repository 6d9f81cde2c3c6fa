"""`cotpd distill`: train a student as a configuration file says."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cotpd.cli.display.tasks import DISPLAYS
from cotpd.cli.display.terminal import echo
from cotpd.cli.display.training_bar import TrainingBar

if TYPE_CHECKING:
    from cotpd.core.config import Task


def distill(
    config: Annotated[Path, typer.Argument(help="A TOML file such as those in configs/, or `sample`.")],
    change: Annotated[list[str] | None, typer.Option("--set", help="Change one key: section.key=value.")] = None,
    out: Annotated[Path | None, typer.Option(help="The run directory; by default runs/NAME-seedN.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")] = False,
) -> None:
    """Train a student as a configuration file says. `sample` trains on the sample corpus, which is part of CoTPD.

    The run directory holds config.toml, environment.json, metrics.jsonl, summary.json, predictions.dev.jsonl and
    model/.

    Examples:

        cotpd distill sample --out runs/first

        cotpd distill configs/twitter2017.toml --set corpus.path=data/twitter2017 --set seed=2

        cotpd distill configs/twitter2017.toml --set optimisation.epochs=3 --resume
    """
    from cotpd.core.config import ExperimentConfig
    from cotpd.distillation.distributed import processes
    from cotpd.distillation.recipe import distill as train
    from cotpd.distillation.runs.corpora import corpus_config, read_corpus

    experiment = ExperimentConfig.read(_config_file(config), change or [])
    path = corpus_config(experiment).path
    run = out or Path("runs") / f"{config.stem}-seed{experiment.seed}"
    is_main_process = processes().is_main_process
    with TrainingBar(shown=is_main_process) as bar:
        train(read_corpus(experiment), config=experiment, out=run, resume=resume, listener=bar.show_training)
    if is_main_process:
        hint = DISPLAYS[experiment.task].command_after_training(run, path)
        echo(f"{run}: {_dev_score(run, experiment.task)}\ntry: {shlex.join(hint)}")


def _config_file(config: Path) -> Path:
    """Return the file of a configuration, which is part of the package for the name `sample`."""
    from cotpd.corpus.splits import is_sample, sample_path

    return sample_path() / "demo.toml" if is_sample(config) else config


def _dev_score(run: Path, task: Task) -> str:
    """Return the score that selected the weights, such as ``dev F1 81.20 (micro, conlleval)``."""
    from cotpd.evaluation.tasks import SCORING

    summary, scoring = json.loads((run / "summary.json").read_text(encoding="utf-8")), SCORING[task]
    average = scoring.dev_metric.removesuffix("_f1")
    mode = f", {summary['score_mode']}" if scoring.has_modes else ""
    return f"dev F1 {100 * summary['best_f1']:.2f} ({average}{mode})"
