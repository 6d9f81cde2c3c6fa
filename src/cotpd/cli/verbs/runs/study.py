"""`cotpd study`: train, score, compare and report the runs of a plan."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from cotpd.cli.display.stderr import print_line, stderr_console
from cotpd.cli.display.terminal import echo, printable
from cotpd.core.errors import CotpdError

if TYPE_CHECKING:
    from cotpd.studies.execution.progress import StudyProgress
    from cotpd.studies.plan.plan import Plan
    from cotpd.studies.report.results import Results


def study(
    plan: Annotated[Path, typer.Argument(help="A plan, as in configs/studies/.")],
    change: Annotated[
        list[str] | None, typer.Option("--set", help="A setting to change in every run, as KEY=VALUE; repeatable.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The directory of the runs and reports; by default runs/PLAN.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the state of every run, and train nothing.")
    ] = False,
    only_report: Annotated[
        bool, typer.Option("--only-report", help="Report the finished runs, and train nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Train, score and compare the runs of a plan, and write report.html, report.md and report.json.

    After an interruption, start the same command again: finished runs are not trained twice. To share the runs among
    several GPUs, start the command once for each, with CUDA_VISIBLE_DEVICES. To train every run on all GPUs together,
    use `accelerate launch`. The exit code is 1 if a run failed; the other runs are trained and reported.

    Examples:

        cotpd study configs/studies/views.toml --set corpus.path=data/twitter2017 --dry-run

        cotpd study configs/studies/views.toml --set corpus.path=data/twitter2017 --out runs/views

        cotpd study configs/studies/views.toml --set corpus.path=data/twitter2017 --out runs/views --only-report
    """
    from cotpd.studies.plan.plan import Plan

    changes, directory = change or [], out or Path("runs") / plan.stem
    parsed = Plan.read(plan, changes)
    if dry_run:
        _print_states(parsed, directory, as_json=as_json)
        return
    options = [word for text in changes for word in ("--set", text)]
    command = shlex.join(["cotpd", "study", str(plan), *options, "--out", str(directory)])
    _print_report(_run(parsed, directory, command, only_report=only_report), directory, as_json=as_json)


def _run(plan: Plan, out: Path, command: str, *, only_report: bool) -> Results:
    from cotpd.studies.study import study as run_study

    with StudyBar() as bar:
        return run_study(plan, out=out, command=command, listener=bar.show, only_report=only_report)


def _print_report(results: Results, out: Path, *, as_json: bool) -> None:
    from cotpd.distillation.distributed import processes
    from cotpd.studies.report.json_report import json_report
    from cotpd.studies.report.markdown_report import markdown_report

    if processes().is_main_process:
        text = json.dumps(json_report(results), indent=2) if as_json else markdown_report(results)
        echo(text.rstrip())
        if "report.html" not in results.failures:
            hint = f"report with plots: {out / 'report.html'}"
            print_line(hint)
    if results.failures:
        name, reason = next(iter(results.failures.items()))
        raise CotpdError(f"{len(results.failures)} failed; the first is {name}: {reason}")


def _print_states(plan: Plan, out: Path, *, as_json: bool) -> None:
    from cotpd.corpus.splits import located
    from cotpd.distillation.runs.corpora import corpus_config
    from cotpd.studies.execution.run_state import state_of
    from cotpd.studies.plan.resolution import resolve_plan

    runs = resolve_plan(plan, out).runs
    states = {run.id: (state_of(run).value, run.needs) for run in runs}
    if as_json:
        echo(json.dumps({name: {"state": state, "needs": needs} for name, (state, needs) in states.items()}))
        return
    width, state_width = max(map(len, states)), max(len(state) for state, _ in states.values())
    for name, (state, needs) in states.items():
        needed = f"needs {', '.join(needs)}" if needs else ""
        echo(f"{name.ljust(width)}  {state.ljust(state_width)}  {needed}".rstrip())
    counts = Counter(state for state, _ in states.values())
    echo(f"\n{len(states)} runs: " + ", ".join(f"{number} {state}" for state, number in counts.items()))
    corpora = {corpus_config(run.config).path for run in runs}
    corpora |= {path for run in runs for path in run.config.training_set.unlabelled_paths}
    corpora |= {score.corpus for run in runs for score in run.scores if score.corpus}
    for path in sorted(path for path in corpora if not located(path).exists()):
        echo(f"not found: {path}; change the plan or its base, or use --set corpus.path=PATH")


class StudyBar:
    """A progress bar on stderr with the current run and the time left; log lines if stderr is not a terminal."""

    def __init__(self) -> None:
        self._console = stderr_console()
        self._printed: tuple[str, int | None] | None = None
        self._bar = Bar(
            TextColumn("runs"),
            BarColumn(bar_width=8),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
            TextColumn("{task.fields[run]}", markup=False),
            console=self._console,
            disable=not self._console.is_terminal,
            redirect_stdout=False,
        )
        self._task = self._bar.add_task("runs", run="", left="", total=None)

    def __enter__(self) -> StudyBar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, progress: StudyProgress) -> None:
        """Update the bar, or print a line when a run starts and after each epoch."""
        training, left = progress.training, format_time_left(progress.seconds_left)
        done = progress.num_done + progress.num_failed
        share = training.step / training.num_steps if training else 0.0
        run = printable(progress.run) + (f", update {training.step} of {training.num_steps}" if training else "")
        self._bar.update(self._task, completed=round(done + share, 2), total=progress.num_runs, run=run, left=left)
        moment = (progress.run, training.epoch if training and training.dev_f1 is not None else None)
        if self._console.is_terminal or moment == self._printed or (training and training.dev_f1 is None):
            return
        self._printed = moment
        f1 = f"  epoch {training.epoch + 1}, dev F1 {100 * (training.dev_f1 or 0):.2f}" if training else ""
        failed = f", {progress.num_failed} failed" if progress.num_failed else ""
        line = f"run {done + 1} of {progress.num_runs}{failed}  {printable(progress.run)}{f1}  {left}"
        print_line(line.rstrip())


def format_time_left(seconds: float | None) -> str:
    """Format the time left and the local time at the end, or an empty string if unknown."""
    if seconds is None:
        return ""
    minutes = round(seconds / 60)
    span = f"{minutes // 60} h {minutes % 60} min" if minutes >= 120 else f"{minutes} min"
    end = datetime.now() + timedelta(seconds=seconds)
    when = end.strftime("%H:%M" if seconds < 12 * 3600 else "%a %d %b, %H:%M")
    return f"{'about ' + span if minutes else 'under a minute'} left, done {when}"
