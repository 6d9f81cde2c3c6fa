"""A study from plan to report: the runs are made, scored and compared, and the tables written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from cotpd.core.files import write_atomic
from cotpd.distillation.corpora import RunCorpora
from cotpd.distillation.distributed import processes
from cotpd.studies.execution.eta import StudyListener, StudyProgress
from cotpd.studies.execution.runner import make_runs
from cotpd.studies.plan.expansion import planned_runs
from cotpd.studies.plan.plan import Plan
from cotpd.studies.report.html_report import html_report
from cotpd.studies.report.json_report import json_report
from cotpd.studies.report.markdown_report import markdown_report
from cotpd.studies.report.results import Results, gather


def _silent(_: StudyProgress) -> None:
    """Watch nothing."""


def study(
    plan: Plan,
    *,
    out: Path,
    command: str = "cotpd study",
    listener: StudyListener = _silent,
    only_report: bool = False,
) -> Results:
    """Make the runs of a plan in the directory ``out``, each a run directory as `distill` writes it, and report.

    A run that is finished is never made again, and one that was stopped goes on; a run that fails is named in the
    report (``failures``) while the others go on. Writes report.json, report.md and report.html; ``command`` is what
    they say remakes them, and one that cannot be written stands among the failures that are returned.
    ``only_report``: report the runs that are finished and make none; the others are named as ``unfinished``. Raises
    `UsageError` for a plan that cannot be carried out.
    """
    runs = planned_runs(plan, out)
    outcomes = make_runs(plan, runs, RunCorpora(), listener, only_report=only_report)
    results = gather(plan, [outcomes[run.id] for run in runs], name=out.resolve().name, command=command)
    return _written(results, out) if processes().is_main_process else results


def _written(results: Results, out: Path) -> Results:
    reports = {
        "report.json": json.dumps(json_report(results), indent=2, ensure_ascii=False) + "\n",
        "report.md": markdown_report(results),
        "report.html": html_report(results),
    }
    unwritten = {}
    for name, text in reports.items():
        try:
            write_atomic(out / name, text)
        except OSError as error:
            unwritten[name] = (
                f"{out / name}: cannot be written ({error.strerror}); mend that, and start the study again"
            )
    return replace(results, failures={**results.failures, **unwritten})
