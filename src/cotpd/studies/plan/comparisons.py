"""Comparisons of a plan: resolution of their runs, views and sets of examples, and checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from cotpd.core.config import ExperimentConfig
from cotpd.core.errors import UsageError
from cotpd.core.files import real_path
from cotpd.distillation.runs.corpora import corpus_config
from cotpd.studies.plan.design import ComparedSide, PlannedComparison, ScorePlace
from cotpd.studies.plan.plan import ComparisonPlan, Plan, SidePlan
from cotpd.studies.plan.scored_view import ScoredView


def resolve_comparisons(plan: Plan, configs: Mapping[str, ExperimentConfig]) -> tuple[PlannedComparison, ...]:
    """Resolve the comparisons that a plan lists and those that its baseline implies, without duplicates.

    Args:
        plan: The plan.
        configs: The configuration of each run of the plan by name.

    Raises:
        UsageError: If a comparison cannot be made, occurs twice, or pools a set of examples twice.
    """
    deployed_views = {name: config.objective.student for name, config in configs.items()}
    listed = [_resolve(comparison, plan, deployed_views) for comparison in plan.comparisons]
    implied = [_resolve(comparison, plan, deployed_views) for comparison in _implied_comparisons(plan)]
    known = [_places_of(comparison) for comparison in listed]
    comparisons = (*listed, *(comparison for comparison in implied if _places_of(comparison) not in known))
    _check_unique(comparisons)
    for comparison in comparisons:
        _check_places(comparison, plan, deployed_views)
        _check_examples(comparison, plan, configs)
        _check_sides(comparison, plan, configs)
    return comparisons


def _implied_comparisons(plan: Plan) -> Iterator[ComparisonPlan]:
    """Yield the comparison of every run that the first score includes with the baseline of the plan."""
    if plan.baseline is None:
        return
    scored = next(iter(plan.scores.values())).runs or tuple(plan.runs)
    for name in scored:
        if name != plan.baseline and not plan.runs[name].folds:
            yield ComparisonPlan(run={name: ()}, baseline={plan.baseline: ()})


def _resolve(comparison: ComparisonPlan, plan: Plan, deployed_views: Mapping[str, str]) -> PlannedComparison:
    """Resolve a comparison. If two sides pool the same sets of examples, both list them in the same order."""
    on = comparison.on or tuple(plan.scores)[:1]
    places = [_places(side, on, deployed_views) for side in comparison.sides]
    order = [place.score for place in places[0]]
    sides = [
        ComparedSide(
            " + ".join(side),
            tuple(_in_order(side_places, order)),
            any(plan.runs[entry.partition("@")[0]].control for entry in side),
        )
        for side, side_places in zip(comparison.sides, places, strict=True)
    ]
    return PlannedComparison(
        name=comparison.name or _title(comparison),
        run=sides[0],
        baseline=sides[1],
        ceiling=sides[2] if len(sides) > 2 else None,
        at_least=comparison.at_least,
        is_descriptive=comparison.descriptive,
    )


def _places(side: SidePlan, on: Sequence[str], deployed_views: Mapping[str, str]) -> list[ScorePlace]:
    """Return the places of a side. Entries without scores are scored on ``on``."""
    places = []
    for entry, scores in side.items():
        run, _, view = entry.partition("@")
        resolved = str(ScoredView.parse(view)) if view else deployed_views[run]
        places += [ScorePlace(run, resolved, score) for score in scores or on]
    return places


def _in_order(places: Sequence[ScorePlace], order: Sequence[str]) -> Sequence[ScorePlace]:
    """Sort the places by their scores as in ``order``; return them unchanged if the scores differ."""
    if sorted(place.score for place in places) != sorted(order):
        return places
    return sorted(places, key=lambda place: order.index(place.score))


def _title(comparison: ComparisonPlan) -> str:
    scores = dict.fromkeys([score for on in comparison.run.values() for score in on] or comparison.on)
    on = f" on {' + '.join(scores)}" if scores else ""
    return f"{' + '.join(comparison.run)} − {' + '.join(comparison.baseline)}{on}"


def _places_of(comparison: PlannedComparison) -> tuple[tuple[ScorePlace, ...], tuple[ScorePlace, ...]]:
    return comparison.run.places, comparison.baseline.places


def _check_unique(comparisons: Sequence[PlannedComparison]) -> None:
    names, tested = set[str](), set[frozenset[tuple[ScorePlace, ...]]]()
    for comparison in comparisons:
        if comparison.name in names:
            raise UsageError(f"two comparisons are called {comparison.name!r}; give one of them another name")
        names.add(comparison.name)
        if comparison.is_descriptive:
            continue
        sides = frozenset(_places_of(comparison))
        if sides in tested:
            raise UsageError(
                f"comparison {comparison.name}: the plan already compares these two sides, and Holm's correction would "
                "count them twice; remove one of the two, or set descriptive = true"
            )
        tested.add(sides)


def _check_places(comparison: PlannedComparison, plan: Plan, deployed_views: Mapping[str, str]) -> None:
    """Raise `UsageError` if a run is not scored in the view or on the examples that a side needs."""
    for run, view, score in (place for side in comparison.sides for place in side.places):
        scored_runs = plan.scores[score].runs
        if plan.runs[run].folds:
            raise UsageError(
                f"comparison {comparison.name}: run {run} has folds and is never scored; compare a run without folds"
            )
        if scored_runs and run not in scored_runs:
            raise UsageError(
                f"comparison {comparison.name}: run {run} is not scored on {score}; add it to scores.{score}.runs"
            )
        if view == "prompt" and deployed_views[run] != "prompt":
            raise UsageError(
                f"comparison {comparison.name}: run {run} has no prompts (its deployed view is "
                f"{deployed_views[run]}); compare {run}@text or {run}@knowledge"
            )


def _check_examples(comparison: PlannedComparison, plan: Plan, configs: Mapping[str, ExperimentConfig]) -> None:
    """Raise `UsageError` if a side pools the same examples twice."""
    for side in comparison.sides:
        pooled = set[tuple[Path, str]]()
        for place in side.places:
            score = plan.scores[place.score]
            data = score.data or corpus_config(configs[place.run]).path
            if (real_path(data), score.split) in pooled:
                raise UsageError(
                    f"comparison {comparison.name}: {side.title} pools the {score.split} examples of {data} twice, "
                    "which would make the interval too narrow; remove one of the two scores"
                )
            pooled.add((real_path(data), score.split))


def _check_sides(comparison: PlannedComparison, plan: Plan, configs: Mapping[str, ExperimentConfig]) -> None:
    """Raise `UsageError` if both sides are the same, or differ in their task or their splits."""
    name = comparison.name
    if comparison.run.places == comparison.baseline.places:
        raise UsageError(f"comparison {name}: both sides are the same run in the same view; change one of them")
    tasks = {configs[place.run].task for side in comparison.sides for place in side.places}
    if len(tasks) > 1:
        raise UsageError(f"comparison {name}: cannot compare runs of different tasks ({', '.join(sorted(tasks))})")
    splits = [" + ".join(plan.scores[place.score].split for place in side.places) for side in comparison.sides]
    if len(set(splits)) > 1:
        raise UsageError(f"comparison {name}: the sides must be scored on the same splits, got {', '.join(splits)}")
