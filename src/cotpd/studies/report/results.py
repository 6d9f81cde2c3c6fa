"""The results of a study: a row for each run, view and set of posts, and what each comparison says."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from statistics import fmean
from typing import NamedTuple

from cotpd.core.errors import CotpdError, UsageError
from cotpd.evaluation.matching import UNSEEN, Mode
from cotpd.evaluation.scores import Scores, TypeScores
from cotpd.evaluation.statistics.over_seeds import GapClosed, gap_closed, hierarchical_interval
from cotpd.evaluation.statistics.pooling import pool_scores
from cotpd.evaluation.statistics.resampling import Interval
from cotpd.evaluation.statistics.significance import holm, mean_and_deviation
from cotpd.studies.execution.predictions import LABELLED, OTHER, Cell
from cotpd.studies.execution.runner import Outcome, RunState
from cotpd.studies.plan.plan import ComparisonPlan, Plan, ScoredView, Side, side_title
from cotpd.studies.plan.validation import Place, all_comparisons, places_of_sides
from cotpd.studies.report.curves import Curve, curve_of


class NamesScore(NamedTuple):
    """Micro F1 on entities of one kind, and their number in gold, both means over seeds."""

    f1: float
    support: float


@dataclass(frozen=True, slots=True)
class Row:
    """Micro F1 of one run in one view on one set of posts, over its seeds.

    ``values``: by seed; ``interval``: over seeds and posts; ``other_mode``: the mean in the mode that is not the
    plan's; ``by_training``: of the kinds of entities that `Cell` has, those in gold; ``commands`` remake the values.
    """

    run: str
    score: str
    view: str
    values: Mapping[int, float]
    mean: float
    deviation: float | None
    interval: Interval
    other_mode: float
    by_training: Mapping[str, NamesScore]
    num_posts: int
    ships: bool
    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Compared:
    """One comparison: the lead of ``run`` over ``baseline`` in mean micro F1, and how sure it is.

    ``p_holm``: corrected for all comparisons of the plan that decide, None where this one only describes. ``share``: of
    the way to ``ceiling``, over the ``share_seeds`` of its three sides; None where the ceiling has no scores of these
    posts. ``left_out``: seeds that only one side has, though the plan gives them to both.
    """

    name: str
    run: str
    baseline: str
    on: str
    lead: float
    interval: Interval
    p_value: float
    p_holm: float | None
    at_least: float
    num_seeds: tuple[int, int]
    left_out: tuple[int, ...]
    num_posts: int
    is_paired: bool
    run_is_control: bool
    baseline_is_control: bool
    ceiling: str | None = None
    share: GapClosed | None = None
    share_seeds: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Results:
    """All that a report says. ``notes``: of every run of the plan, empty where it has none.

    ``failures``: what could not be made, scored or compared, and why; ``unfinished``: the runs and comparisons that
    were not to be made yet, and how far they are.
    """

    name: str
    question: str
    mode: Mode
    command: str
    rows: tuple[Row, ...]
    compared: tuple[Compared, ...]
    curves: tuple[Curve, ...]
    failures: Mapping[str, str]
    unfinished: Mapping[str, str]
    notes: Mapping[str, str]
    controls: tuple[str, ...]
    num_runs: int
    num_finished: int
    resamples: int


class _NoScoresError(UsageError):
    """A side of a comparison has no scores: not yet, or not at all."""


def gather(plan: Plan, outcomes: Iterable[Outcome], *, name: str, command: str) -> Results:
    """Make the results of what runs came to; a comparison that lacks a finished run stands among the failures."""
    ended = list(outcomes)
    cells = [cell for outcome in ended for cell in outcome.cells]
    failures = {outcome.run.id: outcome.reason for outcome in ended if outcome.reason}
    unfinished = {one.run.id: one.state.value for one in ended if one.state.is_left}
    waited_for = {one.run.name for one in ended if one.run.id in unfinished}
    curves: list[Curve] = []
    for run in (outcome.run for outcome in ended if outcome.state is RunState.FINISHED and not outcome.run.fold):
        try:
            curves.append(curve_of(run))
        except CotpdError as error:
            failures.setdefault(run.id, f"has no learning curve: {error}")
    compared: list[Compared] = []
    shipped = {outcome.run.name: outcome.run.config.objective.student for outcome in ended}
    all_planned = all_comparisons(plan, shipped)
    for planned in all_planned:
        sides = places_of_sides(planned, plan, shipped)
        try:
            compared.append(_compared(planned, sides, cells, plan))
        except CotpdError as error:
            is_awaited = waited_for & {place.run for side in sides for place in side}
            if is_awaited and isinstance(error, _NoScoresError):
                unfinished[f"comparison {planned.title}"] = "needs runs that are not finished"
            else:
                failures[f"comparison {planned.title}"] = str(error)
    return Results(
        name=name,
        question=plan.question,
        mode=plan.mode,
        command=command,
        rows=tuple(_rows(cells, plan, command)),
        compared=tuple(_corrected(compared, num_planned=sum(not one.descriptive for one in all_planned))),
        curves=tuple(curves),
        failures=failures,
        unfinished=unfinished,
        notes={name: run.note for name, run in plan.runs.items()},
        controls=tuple(name for name, run in plan.runs.items() if run.control),
        num_runs=len(ended),
        num_finished=sum(outcome.state is RunState.FINISHED for outcome in ended),
        resamples=plan.resamples,
    )


def _rows(cells: Sequence[Cell], plan: Plan, command: str) -> Iterator[Row]:
    groups: dict[tuple[str, str, ScoredView], list[Cell]] = {}
    for score in plan.scores:
        for run in plan.runs:
            for cell in cells:
                if (cell.score, cell.run.name) == (score, run):
                    groups.setdefault((score, run, cell.view), []).append(cell)
    for (score, run, view), group in groups.items():
        yield _row(run, score, view, sorted(group, key=lambda cell: cell.run.seed), plan, command)


def _row(run: str, score: str, view: ScoredView, cells: Sequence[Cell], plan: Plan, command: str) -> Row:
    scores = [cell.scores[plan.mode] for cell in cells]
    estimate = hierarchical_interval(scores, resamples=plan.resamples)
    other: Mode = "strict" if plan.mode == "conlleval" else "conlleval"
    return Row(
        run=run,
        score=score,
        view=str(view),
        values={cell.run.seed: found.micro_f1 for cell, found in zip(cells, scores, strict=True)},
        mean=estimate.mean,
        deviation=mean_and_deviation([found.micro_f1 for found in scores]).deviation,
        interval=estimate.interval,
        other_mode=mean_and_deviation([cell.scores[other].micro_f1 for cell in cells]).mean,
        by_training=_by_training([cell.by_training.by_type for cell in cells if cell.by_training]),
        num_posts=scores[0].num_posts,
        ships=str(view) == cells[0].run.config.objective.student,
        commands=tuple(_command(cell, plan) for cell in cells) if not view.without else (command,),
    )


def _by_training(seeds: Sequence[Mapping[str, TypeScores]]) -> dict[str, NamesScore]:
    none = TypeScores(0, 0, 0)
    found = {kind: [counts.get(kind, none) for counts in seeds] for kind in (LABELLED, OTHER, UNSEEN)}
    return {
        kind: NamesScore(fmean(one.rates.f1 for one in counts), fmean(one.support for one in counts))
        for kind, counts in found.items()
        if any(one.support for one in counts)
    }


def _command(cell: Cell, plan: Plan) -> str:
    split, run, data = plan.scores[cell.score].split, shlex.quote(str(cell.run.path)), shlex.quote(str(cell.data))
    return f"cotpd evaluate {run} {data} --split {split} --view {cell.view.kind} --mode {plan.mode}"


def _compared(
    planned: ComparisonPlan, places: Sequence[Sequence[Place]], cells: Sequence[Cell], plan: Plan
) -> Compared:
    """``places``: of the comparison's sides."""
    sides = [_by_seed(side, cells, plan.mode) for side in places[:2]]
    meant = [_planned_seeds(side, plan) for side in planned.sides]
    (run, baseline), paired = _paired(sides, meant[:2])
    share: GapClosed | None = None
    share_seeds: tuple[int, ...] = ()
    if planned.ceiling:
        with suppress(CotpdError):
            share, share_seeds = _share([*sides, _by_seed(places[2], cells, plan.mode)], meant, plan)
    lead = hierarchical_interval(run, baseline, paired=paired, resamples=plan.resamples)
    assert lead.p_value is not None
    return Compared(
        name=planned.title,
        run=side_title(planned.run),
        baseline=side_title(planned.baseline),
        on=_posts_title(planned.run, plan.scores_of(planned)),
        lead=lead.mean,
        interval=lead.interval,
        p_value=lead.p_value,
        p_holm=None if planned.descriptive else lead.p_value,
        at_least=planned.at_least / 100,
        num_seeds=(len(run), len(baseline)),
        left_out=tuple(sorted(sides[0].keys() ^ sides[1].keys())) if paired else (),
        num_posts=run[0].num_posts,
        is_paired=paired,
        run_is_control=_is_control(planned.run, plan),
        baseline_is_control=_is_control(planned.baseline, plan),
        ceiling=side_title(planned.ceiling) if planned.ceiling else None,
        share=share,
        share_seeds=share_seeds,
    )


def _share(
    sides: Sequence[Mapping[int, Scores]], meant: Sequence[frozenset[int]], plan: Plan
) -> tuple[GapClosed, tuple[int, ...]]:
    """The share of the way, and the number of seeds of each side that it rests on."""
    (run, baseline, ceiling), paired = _paired(sides, meant)
    share = gap_closed(run, baseline, ceiling, paired=paired, resamples=plan.resamples)
    return share, (len(run), len(baseline), len(ceiling))


def _planned_seeds(side: Side, plan: Plan) -> frozenset[int]:
    """The seeds that all runs of a side are to have."""
    runs = [plan.runs[name.partition("@")[0]] for name in side]
    return frozenset.intersection(*(frozenset(run.seeds or plan.seeds) for run in runs))


def _paired(sides: Sequence[Mapping[int, Scores]], meant: Sequence[frozenset[int]]) -> tuple[list[list[Scores]], bool]:
    """The scores of each side in the order of seeds, and whether they are paired.

    Where the plan gives all sides the same seeds, only those count that all of them have by now; there must be one.
    """
    common = set(sides[0]).intersection(*sides[1:])
    same = len(set(meant)) == 1
    if same and not common:
        raise _NoScoresError("no seed has finished runs of all sides; see which runs failed")
    kept = [{seed: side[seed] for seed in sorted(side) if seed in common or not same} for side in sides]
    return [list(side.values()) for side in kept], all(side.keys() == kept[0].keys() for side in kept)


def _is_control(side: Side, plan: Plan) -> bool:
    return any(plan.runs[name.partition("@")[0]].control for name in side)


def _by_seed(places: Sequence[Place], cells: Sequence[Cell], mode: Mode) -> dict[int, Scores]:
    """The scores of one side by seed, pooled over runs and sets of posts; seeds that lack one are out."""
    found = {(cell.run.name, str(cell.view), cell.score, cell.run.seed): cell.scores[mode] for cell in cells}
    seeds = sorted({cell.run.seed for cell in cells})
    whole = [seed for seed in seeds if all((*place, seed) in found for place in places)]
    if not whole:
        names = ", ".join(f"{place.run} ({place.view}) on {place.score}" for place in places)
        raise _NoScoresError(f"no seed has scores of {names}; see which runs failed, and what could not be scored")
    return {seed: pool_scores([found[*place, seed] for place in places]) for seed in whole}


def _corrected(compared: Sequence[Compared], *, num_planned: int) -> Iterator[Compared]:
    """Corrected for all that is planned to decide: what could not be compared yet counts as p = 1."""
    deciding = [one.p_value for one in compared if one.p_holm is not None]
    corrected = iter(holm([*deciding, *[1.0] * (num_planned - len(deciding))]))
    for one in compared:
        yield one if one.p_holm is None else replace(one, p_holm=next(corrected))


def _posts_title(side: Mapping[str, Sequence[str]], on: Sequence[str]) -> str:
    return " + ".join(dict.fromkeys(score for names in side.values() for score in names or on))
