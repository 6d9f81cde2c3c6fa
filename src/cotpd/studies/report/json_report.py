"""The report of a study for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from cotpd.studies.report.results import Results
from cotpd.studies.report.verdict import remarks, verdict_of


def json_report(results: Results) -> dict[str, Any]:
    """All that the other reports say, as JSON has it; F1 from 0 to 1, intervals from low to high."""
    compared = [{**asdict(one), "verdict": verdict_of(one).value, "remarks": remarks(one)} for one in results.compared]
    return {**asdict(results), "compared": compared}
