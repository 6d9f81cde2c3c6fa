"""The learning curve of a run: dev F1 by update, read from metrics.jsonl."""

from __future__ import annotations

from dataclasses import dataclass

from cotpd.core.files import read_jsonl
from cotpd.studies.plan.design import PlannedRun


@dataclass(frozen=True, slots=True)
class Curve:
    """The points (update, dev F1) of one run in its deployed view."""

    run: str
    seed: int
    points: tuple[tuple[int, float], ...]


def read_curve(run: PlannedRun) -> Curve:
    """Read the learning curve of a finished run."""
    rows = (row for _, row in read_jsonl(run.path / "metrics.jsonl"))
    points = tuple((int(row["step"]), float(row["dev_f1"])) for row in rows if "dev_f1" in row)
    return Curve(run.name, run.seed, points)
