"""A study, from the plan to the reports."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from cotpd.core.files import real_path, write_atomic
from cotpd.distillation.distributed import processes
from cotpd.studies.execution.progress import StudyListener, StudyProgress
from cotpd.studies.execution.runner import execute_runs
from cotpd.studies.plan.plan import Plan
from cotpd.studies.plan.resolution import resolve_plan
from cotpd.studies.report.gathering import gather
from cotpd.studies.report.html_report import html_report
from cotpd.studies.report.json_report import json_report
from cotpd.studies.report.markdown_report import markdown_report
from cotpd.studies.report.results import Results


def _ignore(_: StudyProgress) -> None:
    """Ignore the progress of a study."""


def study(
    plan: Plan,
    *,
    out: Path,
    command: str = "cotpd study",
    listener: StudyListener = _ignore,
    only_report: bool = False,
) -> Results:
    """Train, score and compare the runs of a plan, and write report.json, report.md and report.html.

    Finished runs are not trained again, and interrupted runs resume. A run that fails is listed in
    `Results.failures`, as is a report that cannot be written; the other runs continue.

    Args:
        plan: The plan.
        out: The directory of the runs and reports. Each run directory is as `distill` writes it.
        command: The command that reproduces the study, for the reports.
        listener: Called whenever the progress changes.
        only_report: Train nothing and report the finished runs. The others are listed in `Results.unfinished`.

    Raises:
        UsageError: If the plan cannot be carried out.
    """
    design = resolve_plan(plan, out)
    outcomes = execute_runs(design.runs, listener, only_report=only_report)
    results = gather(design, outcomes, name=real_path(out).name, command=command)
    return _write_reports(results, out) if processes().is_main_process else results


def _write_reports(results: Results, out: Path) -> Results:
    """Write the reports, and record those that cannot be written in `Results.failures`."""
    reports = {
        "report.json": json.dumps(json_report(results), indent=2, ensure_ascii=False) + "\n",
        "report.md": markdown_report(results),
        "report.html": html_report(results),
    }
    failures = dict(results.failures)
    for name, text in reports.items():
        try:
            write_atomic(out / name, text)
        except OSError as error:
            path = out / name
            failures[name] = f"{path}: cannot be written ({error.strerror}); free the path and run the command again"
    return replace(results, failures=failures)
