"""The runs of a plan, one for each name and seed, those that others need before them."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cotpd.core.config import ExperimentConfig
from cotpd.core.errors import UsageError
from cotpd.core.toml import read_toml
from cotpd.studies.plan.plan import Plan, RunPlan, merged
from cotpd.studies.plan.validation import check_comparisons


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One training: ``name`` as in the plan, its directory, and the ids of the runs that must be finished before.

    ``fold``: the number of the fold that it leaves out, from 1; such a run is a target and is not scored.
    """

    name: str
    seed: int
    fold: int | None
    path: Path
    config: ExperimentConfig
    needs: tuple[str, ...]

    @property
    def id(self) -> str:
        """The name of its directory."""
        return self.path.name


def planned_runs(plan: Plan, out: Path) -> tuple[PlannedRun, ...]:
    """Every run of a plan, seed by seed, each behind those it needs.

    Raises `UsageError` for a wrong configuration (naming the run), a target that is neither a run of the plan nor a
    directory, runs that need each other, and comparisons that could never be made.
    """
    seeds = list(dict.fromkeys(seed for run in plan.runs.values() for seed in run.seeds or plan.seeds))
    found = {run.id: run for seed in seeds for name in plan.runs for run in _runs_of(plan, name, seed, out)}
    ordered: dict[str, PlannedRun] = {}
    for run in found.values():
        _place(run, found, ordered, ())
    check_comparisons(plan, {run.name: run.config for run in found.values()})
    return tuple(ordered.values())


def _runs_of(plan: Plan, name: str, seed: int, out: Path) -> Iterator[PlannedRun]:
    planned = plan.runs[name]
    if seed not in (planned.seeds or plan.seeds):
        return
    for fold in range(1, planned.folds + 1) if planned.folds else [None]:
        values = merged(_values(plan, name, ()), {"seed": seed})
        if fold:
            values = merged(values, {"training_set.fold": f"{fold}/{planned.folds}"})
        targets = [found for name in _target_names(values) for found in _targets(plan, name, seed)]
        needs = tuple(target for target in targets if _is_planned(plan, target))
        if targets:
            paths = [str(out / target) if target in needs else target for target in targets]
            values = merged(values, {"objective.target_runs": paths})
        config = ExperimentConfig.of(values, where=f"run {name}")
        yield PlannedRun(name, seed, fold, out / _id(name, seed, fold), config, needs)


def _values(plan: Plan, name: str, above: Sequence[str]) -> dict[str, Any]:
    """The plain values of a run: its base, what all runs share, what it is like, and its own differences."""
    if name in above:
        raise UsageError(f"run {name} is like itself, through {', '.join(above)}")
    run = plan.runs[name]
    if run.like and run.base:
        raise UsageError(f"run {name}: give base or like, not both")
    if run.like:
        return merged(_values(plan, run.like, (*above, name)), run.changes)
    return merged(merged(read_toml(run.base or plan.base), plan.changes), run.changes)


def _target_names(values: Mapping[str, Any]) -> Sequence[str]:
    """What stands in objective.target_runs, if it is of the right kind; what is not is told of with the other keys."""
    objective = values.get("objective", {})
    found = objective.get("target_runs", ()) if isinstance(objective, dict) else ()
    return [str(name) for name in found] if isinstance(found, list) else ()


def _targets(plan: Plan, name: str, seed: int) -> list[str]:
    """The ids of the runs that a name of the plan means for a seed; a directory stays what it is."""
    if name in plan.runs:
        run = plan.runs[name]
        seeds = run.seeds or plan.seeds
        if seed not in seeds and len(seeds) > 1:
            raise UsageError(f"target run {name} is not made with seed {seed}, and which other is meant is unclear")
        chosen = seed if seed in seeds else seeds[0]
        return [_id(name, chosen, fold) for fold in _folds(run)]
    if _is_planned(plan, name) or Path(name).is_dir():
        return [name]
    close = difflib.get_close_matches(name, plan.runs, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise UsageError(f"target run {name}: neither a run of this plan nor a run directory{hint}")


def _is_planned(plan: Plan, run_id: str) -> bool:
    return any(
        run_id == _id(name, seed, fold)
        for name, run in plan.runs.items()
        for seed in run.seeds or plan.seeds
        for fold in _folds(run)
    )


def _folds(run: RunPlan) -> Sequence[int | None]:
    return range(1, run.folds + 1) if run.folds else [None]


def _id(name: str, seed: int, fold: int | None) -> str:
    return name + (f"-fold{fold}" if fold else "") + f"-seed{seed}"


def _place(
    run: PlannedRun, found: Mapping[str, PlannedRun], ordered: dict[str, PlannedRun], above: Sequence[str]
) -> None:
    """Put a run into the order, behind what it needs."""
    if run.id in above:
        raise UsageError(f"run {run.id} needs itself, through {', '.join(above)}")
    for needed in run.needs:
        _place(found[needed], found, ordered, (*above, run.id))
    ordered.setdefault(run.id, run)
