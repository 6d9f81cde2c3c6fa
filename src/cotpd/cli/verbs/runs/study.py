"""`cotpd study`: a plan becomes runs, a table and a report."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from cotpd.cli.display.terminal import printable
from cotpd.core.errors import CotpdError

if TYPE_CHECKING:
    from cotpd.studies.execution.eta import StudyProgress
    from cotpd.studies.plan.plan import Plan
    from cotpd.studies.report.results import Results


def study(
    plan: Annotated[Path, typer.Argument(help="A TOML file, see configs/studies/ and docs/studies.md.")],
    change: Annotated[list[str] | None, typer.Option("--set", help="Change a key of every run.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="The directory of the runs and reports; by default runs/PLAN.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what is finished and what is left.")] = False,
    only_report: Annotated[
        bool, typer.Option("--only-report", help="Report the runs that are finished; make none.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Make the runs of a plan, score and compare them, and write report.html, report.md and report.json.

    Start it again after any stop: finished runs are never repeated. Start it in several shells, each with a device of
    its own (CUDA_VISIBLE_DEVICES), to share the runs out; or under `accelerate launch`, to share every run. Exit code 1
    if a run failed; the others are made and reported.

    Examples:

        cotpd study configs/studies/views.toml --set data.path=data/twitter2017 --dry-run

        cotpd study configs/studies/views.toml --set data.path=data/twitter2017 --out runs/views

        cotpd study configs/studies/views.toml --set data.path=data/twitter2017 --out runs/views --only-report
    """
    from cotpd.studies.plan.plan import Plan

    changes, directory = change or [], out or Path("runs") / plan.stem
    planned = Plan.read(plan, changes)
    if dry_run:
        _tell_state(planned, directory, as_json=as_json)
        return
    options = [word for text in changes for word in ("--set", text)]
    command = shlex.join(["cotpd", "study", str(plan), *options, "--out", str(directory)])
    _report(_make(planned, directory, command, only_report=only_report), directory, as_json=as_json)


def _make(plan: Plan, out: Path, command: str, *, only_report: bool) -> Results:
    from cotpd.studies.study import study as make

    with StudyBar() as bar:
        return make(plan, out=out, command=command, listener=bar.show, only_report=only_report)


def _report(results: Results, out: Path, *, as_json: bool) -> None:
    from cotpd.distillation.distributed import processes
    from cotpd.studies.report.json_report import json_report
    from cotpd.studies.report.markdown_report import markdown_report

    if processes().is_main_process:
        text = json.dumps(json_report(results), indent=2) if as_json else markdown_report(results)
        typer.echo(printable(text.rstrip()))
        if "report.html" not in results.failures:
            told = f"{out / 'report.html'} shows it with plots"
            Console(stderr=True).print(told, markup=False, emoji=False, highlight=False, soft_wrap=True)
    if results.failures:
        name, reason = next(iter(results.failures.items()))
        raise CotpdError(f"{len(results.failures)} failed; first {name}: {reason}")


def _tell_state(plan: Plan, out: Path, *, as_json: bool) -> None:
    from cotpd.studies.execution.runner import state_of
    from cotpd.studies.plan.expansion import planned_runs

    runs = planned_runs(plan, out)
    states = {run.id: (state_of(run).value, run.needs) for run in runs}
    if as_json:
        typer.echo(json.dumps({name: {"state": state, "needs": needs} for name, (state, needs) in states.items()}))
        return
    width = max(map(len, states))
    for name, (state, needs) in states.items():
        typer.echo(f"{name.ljust(width)}  {state.ljust(13)}  {'needs ' + ', '.join(needs) if needs else ''}".rstrip())
    counts = Counter(state for state, _ in states.values())
    typer.echo(f"\n{len(states)} runs: " + ", ".join(f"{number} {state}" for state, number in counts.items()))
    trained_on = (path for run in runs for path in (run.config.data.path, *run.config.data.unlabelled))
    read = [*trained_on, *(score.data for score in plan.scores.values() if score.data)]
    for path in sorted({path for path in read if not path.exists()}):
        typer.echo(f"not found: {path}; change it in the plan or its base, or --set data.path=WHERE_IT_IS")


class StudyBar:
    """A live bar on stderr: the runs, the present one, and when all will be done; plain lines where nobody watches."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, emoji=False)
        self._said: tuple[str, int | None] | None = None
        self._bar = Bar(
            TextColumn("runs"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[run]}", markup=False),
            TextColumn("{task.fields[left]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("runs", run="", left="", total=None)

    def __enter__(self) -> StudyBar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, progress: StudyProgress) -> None:
        """Show where the study stands."""
        training, left = progress.training, until(progress.seconds_left)
        done = progress.num_done + progress.num_failed
        share = training.step / training.num_steps if training else 0.0
        run = progress.run + (f", update {training.step} of {training.num_steps}" if training else "")
        self._bar.update(self._task, completed=round(done + share, 2), total=progress.num_runs, run=run, left=left)
        moment = (progress.run, training.epoch if training and training.dev_f1 is not None else None)
        if self._console.is_terminal or moment == self._said or (training and training.dev_f1 is None):
            return
        self._said = moment
        f1 = f"  epoch {training.epoch + 1}, dev F1 {100 * (training.dev_f1 or 0):.2f}" if training else ""
        failed = f", {progress.num_failed} failed" if progress.num_failed else ""
        line = f"run {done + 1} of {progress.num_runs}{failed}  {progress.run}{f1}  {left}"
        self._console.print(line.rstrip(), markup=False, highlight=False, soft_wrap=True)


def until(seconds: float | None) -> str:
    """How much time is left and when it ends, by this machine's clock; nothing where it is not known."""
    if seconds is None:
        return ""
    minutes = round(seconds / 60)
    span = f"{minutes // 60} h {minutes % 60} min" if minutes >= 120 else f"{minutes} min"
    end = datetime.now() + timedelta(seconds=seconds)
    when = end.strftime("%H:%M" if seconds < 12 * 3600 else "%a %d %b, %H:%M")
    return f"{'about ' + span if minutes else 'under a minute'} left, done {when}"
