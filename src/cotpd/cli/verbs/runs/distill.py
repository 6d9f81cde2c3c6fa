"""`cotpd distill`: a configuration becomes a run directory with a trained student."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

if TYPE_CHECKING:
    from cotpd.distillation.progress import Progress


def distill(
    config: Annotated[Path, typer.Argument(help="A TOML file, see configs/.")],
    change: Annotated[list[str] | None, typer.Option("--set", help="Change a key: section.key=value.")] = None,
    out: Annotated[Path | None, typer.Option(help="The run directory; by default runs/NAME-seedN.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")] = False,
) -> None:
    """Train a student as a configuration says.

    The run directory tells all: config.toml, environment.json, metrics.jsonl, predictions.dev.jsonl, model/.

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
    data = experiment.data
    with ProgressBar(shown=processes().is_main_process) as bar:
        train(read_corpus(data), config=experiment, out=run, resume=resume, listener=bar.show)
    if not processes().is_main_process:
        return
    relations = experiment.task == "relations"
    follow_up = ("evaluate", run, data.path, "--split", "dev") if relations else ("extract", run, "some text")
    hint = shlex.join(["cotpd", *map(str, follow_up)])
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    typer.echo(f"{run}: dev F1 {100 * summary['best_f1']:.2f} (micro, conlleval)\ntry: {hint}")


class ProgressBar:
    """A live bar on stderr with losses, dev F1 and time left; plain lines, one an epoch, where nobody watches.

    ``shown``: of several processes that make one run, one alone shows its bar.
    """

    def __init__(self, *, shown: bool = True) -> None:
        self._console = Console(stderr=True)
        self._bar = Bar(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("task {task.fields[task_loss]:.3f}  alignment {task.fields[alignment]:.3f}"),
            TextColumn("dev F1 {task.fields[f1]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not (shown and self._console.is_terminal),
        )
        self._task = self._bar.add_task("training", epoch=1, task_loss=0.0, alignment=0.0, f1="–", total=None)

    def __enter__(self) -> ProgressBar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, progress: Progress) -> None:
        """Show the state of training."""
        if progress.dev_f1 is None:
            self._bar.update(
                self._task,
                completed=progress.step,
                total=progress.num_steps,
                epoch=progress.epoch + 1,
                task_loss=progress.task_loss,
                alignment=progress.alignment_loss,
            )
            return
        self._bar.update(self._task, f1=f"{100 * progress.dev_f1:.2f}")
        if not self._console.is_terminal:
            line = f"epoch {progress.epoch + 1}  update {progress.step} of {progress.num_steps}  "
            self._console.print(f"{line}dev F1 {100 * progress.dev_f1:.2f}", highlight=False)
