"""What a plan asks and no run could answer, found before hours of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from cotpd.core.config import ExperimentConfig
from cotpd.core.errors import UsageError
from cotpd.studies.plan.plan import ComparisonPlan, Plan, ScoredView, Side


class Place(NamedTuple):
    """Where one side of a comparison takes scores from: a run's view on a set of posts."""

    run: str
    view: str
    score: str


def all_comparisons(plan: Plan, shipped: Mapping[str, str]) -> tuple[ComparisonPlan, ...]:
    """Those that a plan names, then those that its baseline implies and that it does not name, in whatever words.

    ``shipped``: the view that each run ships.
    """
    named = [places_of_sides(one, plan, shipped)[:2] for one in plan.comparisons]
    implied = (one for one in plan.implied_comparisons if places_of_sides(one, plan, shipped) not in named)
    return (*plan.comparisons, *implied)


def places_of_sides(planned: ComparisonPlan, plan: Plan, shipped: Mapping[str, str]) -> list[list[Place]]:
    """The places of run, baseline and ceiling, in the order of their posts; ``shipped``: the view that each run ships.

    Sides that name the same scores are brought into the order of the first.
    """
    sides = [_places(side, plan.scores_of(planned), shipped) for side in planned.sides]
    order = [place.score for place in sides[0]]
    same = [sorted(place.score for place in side) == sorted(order) for side in sides]
    return [
        sorted(side, key=lambda place: order.index(place.score)) if alike else side
        for side, alike in zip(sides, same, strict=True)
    ]


def _places(side: Side, on: Sequence[str], shipped: Mapping[str, str]) -> list[Place]:
    """``on``: the scores where a side names none."""
    parts = [(text, *text.partition("@")[::2]) for text in side]
    views = {text: str(ScoredView.of(view)) if view else shipped.get(run, "") for text, run, view in parts}
    return [Place(run, views[text], score) for text, run, _ in parts for score in side[text] or on]


def check_comparisons(plan: Plan, configs: Mapping[str, ExperimentConfig]) -> None:
    """Raise `UsageError` for a comparison that could never be made, or would count twice, itself or its posts;
    ``configs`` by run.
    """
    shipped = {name: config.objective.student for name, config in configs.items()}
    titles, deciding = set[str](), list[list[list[Place]]]()
    for planned in all_comparisons(plan, shipped):
        sides = places_of_sides(planned, plan, shipped)
        _check_alone(planned, sorted(sides[:2]), titles, deciding)
        for place in (place for side in sides for place in side):
            _check_place(place, plan, shipped)
        for side in sides:
            _check_posts(side, plan, configs)
        if sides[0] == sides[1]:
            raise UsageError(f"comparison {planned.title}: a run in one view is compared with itself")
        tasks = {configs[place.run].task for side in sides for place in side}
        if len(tasks) > 1:
            raise UsageError(f"comparison {planned.title}: runs of {' and '.join(sorted(tasks))} cannot be compared")
        splits = [[plan.scores[place.score].split for place in side] for side in sides]
        if any(other != splits[0] for other in splits):
            told = ", ".join(" + ".join(side) for side in splits)
            raise UsageError(f"comparison {planned.title}: its sides are scored on different posts ({told})")


def _check_alone(
    planned: ComparisonPlan, sides: list[list[Place]], titles: set[str], deciding: list[list[list[Place]]]
) -> None:
    """Refuse a comparison whose title or, where it decides, whose ``sides`` another one before has."""
    if planned.title in titles:
        raise UsageError(f"two comparisons are called {planned.title!r}; give one of them another name")
    if not planned.descriptive and sides in deciding:
        raise UsageError(
            f"comparison {planned.title}: stands twice, and Holm's correction would count it twice; drop one, or set "
            "descriptive = true"
        )
    titles.add(planned.title)
    if not planned.descriptive:
        deciding.append(sides)


def _check_place(place: Place, plan: Plan, shipped: Mapping[str, str]) -> None:
    runs = plan.scores[place.score].runs
    if plan.runs[place.run].folds:
        raise UsageError(f"run {place.run} has folds, which are targets and not scored, so it cannot be compared")
    if runs and place.run not in runs:
        raise UsageError(f"run {place.run} is compared on {place.score}, but scores.{place.score}.runs leaves it out")
    if place.view == "prompt" != shipped[place.run]:
        raise UsageError(f"run {place.run} has no prompts (it ships the {shipped[place.run]} view): no @prompt of it")


def _check_posts(side: Sequence[Place], plan: Plan, configs: Mapping[str, ExperimentConfig]) -> None:
    sets = [(plan.scores[p.score].data or configs[p.run].corpus.path, plan.scores[p.score].split) for p in side]
    seen = set[tuple[Path, str]]()
    for data, split in sets:
        if (data.resolve(), split) in seen:
            raise UsageError(f"a comparison pools the {split} posts of {data} twice, which would feign certainty")
        seen.add((data.resolve(), split))
