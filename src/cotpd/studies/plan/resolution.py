"""From a plan file to the design of a study."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from cotpd.studies.plan.comparisons import resolve_comparisons
from cotpd.studies.plan.design import PlannedComparison, PlannedRun, PlannedScore, StudyDesign
from cotpd.studies.plan.expansion import expand_runs
from cotpd.studies.plan.plan import Plan
from cotpd.studies.plan.scored_view import ScoredView


def resolve_plan(plan: Plan, out: Path) -> StudyDesign:
    """Resolve a plan into runs, scores and comparisons.

    Args:
        plan: The plan.
        out: The directory that will contain the run directories.

    Raises:
        UsageError: If a configuration is wrong, a target is unknown, runs need each other, or a comparison cannot be
            made.
    """
    runs = expand_runs(plan, out)
    comparisons = resolve_comparisons(plan, {run.name: run.config for run in runs})
    return StudyDesign(
        question=plan.question,
        runs=tuple(replace(run, scores=tuple(_scores(run, plan, comparisons))) for run in runs),
        score_names=tuple(plan.scores),
        comparisons=comparisons,
        notes={name: run.note for name, run in plan.runs.items()},
        controls=tuple(name for name, run in plan.runs.items() if run.control),
    )


def _scores(run: PlannedRun, plan: Plan, comparisons: Sequence[PlannedComparison]) -> Iterator[PlannedScore]:
    """Yield the scores of a run: in the views of the plan, the deployed view, and the views that are compared."""
    if run.fold:
        return
    deployed = run.config.objective.student
    places = [place for comparison in comparisons for side in comparison.sides for place in side.places]
    for name, score in plan.scores.items():
        if score.runs and run.name not in score.runs:
            continue
        compared = [place.view for place in places if (place.run, place.score) == (run.name, name)]
        for view in dict.fromkeys(map(ScoredView.parse, (*score.views, deployed, *compared))):
            if view.kind != "prompt" or deployed == "prompt":
                yield PlannedScore(name, view, score.split, score.data)
