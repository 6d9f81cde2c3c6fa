"""The report of a study for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from cotpd.evaluation.matching import DEFAULT_MODE
from cotpd.studies.report.results import RESAMPLES, Results
from cotpd.studies.report.verdict import remarks, verdict_of


def json_report(results: Results) -> dict[str, Any]:
    """Return the results as JSON values. F1 is from 0 to 1, and intervals are pairs of low and high."""
    compared = [
        {**asdict(result), "verdict": verdict_of(result).value, "remarks": remarks(result)}
        for result in results.compared
    ]
    return {**asdict(results), "compared": compared, "mode": DEFAULT_MODE, "resamples": RESAMPLES}
