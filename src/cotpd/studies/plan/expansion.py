"""The runs of a plan: one for each name, seed and fold, each after the runs that it needs."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cotpd.core.config import ExperimentConfig
from cotpd.core.errors import UsageError
from cotpd.core.toml import read_toml
from cotpd.studies.plan.design import PlannedRun
from cotpd.studies.plan.plan import Plan
from cotpd.studies.plan.settings import merge_settings

_FOLD_KEY = "training_set.fold"
_TARGETS_KEY = "objective.target_runs"

_RunIds = Mapping[tuple[str, int], Sequence[str]]
"""The ids of the runs of each name and seed: several for a run with folds."""


def expand_runs(plan: Plan, out: Path) -> tuple[PlannedRun, ...]:
    """Return every run of a plan, seed by seed, each after the runs that it needs.

    Raises:
        UsageError: If a configuration is wrong, a target is neither a run of the plan nor a run directory, or runs
            need each other. The message names the run.
    """
    run_ids: _RunIds = {
        (name, seed): _ids(name, seed, run.folds) for seed in plan.seeds for name, run in plan.runs.items()
    }
    settings = {name: _settings(plan, name, ()) for name in plan.runs}
    runs = [run for name, seed in run_ids for run in _runs(name, seed, settings[name], run_ids, out)]
    return tuple(_sort_by_needs(runs))


def _ids(name: str, seed: int, num_folds: int | None) -> tuple[str, ...]:
    if num_folds is None:
        return (f"{name}-seed{seed}",)
    return tuple(f"{name}-fold{fold}-seed{seed}" for fold in range(1, num_folds + 1))


def _settings(plan: Plan, name: str, visited: Sequence[str]) -> dict[str, Any]:
    """Return the plain settings of a run: its base, the changes of all runs, the run it is like, its own settings."""
    if name in visited:
        raise UsageError(f"run {name}: like forms a cycle: {' -> '.join((*visited, name))}; remove one of them")
    run = plan.runs[name]
    if run.like and run.base:
        raise UsageError(f"run {name}: give base or like, not both; remove one of them")
    if run.like:
        return merge_settings(_settings(plan, run.like, (*visited, name)), run.settings)
    return merge_settings(merge_settings(read_toml(run.base or plan.base), plan.changes), run.settings)


def _runs(name: str, seed: int, settings: Mapping[str, Any], run_ids: _RunIds, out: Path) -> Iterator[PlannedRun]:
    """Yield the runs of one name and seed: one for each fold."""
    ids, planned = run_ids[name, seed], {run_id for ids in run_ids.values() for run_id in ids}
    targets = [run_id for target in _target_names(settings) for run_id in _target_ids(target, seed, run_ids)]
    paths = [str(out / target) if target in planned else target for target in targets]
    seeded = merge_settings(settings, {"seed": seed, **({_TARGETS_KEY: paths} if paths else {})})
    needs = tuple(target for target in targets if target in planned)
    for number, run_id in enumerate(ids, start=1):
        fold = number if len(ids) > 1 else None
        values = merge_settings(seeded, {_FOLD_KEY: f"{fold}/{len(ids)}"}) if fold else seeded
        config = ExperimentConfig.of(values, where=f"run {name}")
        yield PlannedRun(name, seed, fold, out / run_id, config, needs)


def _target_names(settings: Mapping[str, Any]) -> Sequence[str]:
    """Return the entries of objective.target_runs; `ExperimentConfig` reports values of a wrong type."""
    objective = settings.get("objective", {})
    names = objective.get("target_runs", ()) if isinstance(objective, dict) else ()
    return [str(name) for name in names] if isinstance(names, list) else ()


def _target_ids(name: str, seed: int, run_ids: _RunIds) -> Sequence[str]:
    """Return the ids of the runs that a target names; the path of a run directory is returned unchanged."""
    if (name, seed) in run_ids:
        return run_ids[name, seed]
    if any(name in ids for ids in run_ids.values()) or Path(name).is_dir():
        return [name]
    close = difflib.get_close_matches(name, {run for run, _ in run_ids}, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise UsageError(f"target run {name} is neither a run of this plan nor a run directory{hint}")


def _sort_by_needs(runs: Sequence[PlannedRun]) -> list[PlannedRun]:
    """Sort runs so that each comes after the runs that it needs. The sort is stable."""
    by_id = {run.id: run for run in runs}
    ordered: dict[str, PlannedRun] = {}

    def add(run: PlannedRun, dependents: Sequence[str]) -> None:
        if run.id in dependents:
            cycle = " -> ".join((*dependents, run.id))
            raise UsageError(f"run {run.id} needs itself: {cycle}; remove one of them from objective.target_runs")
        for needed in run.needs:
            add(by_id[needed], (*dependents, run.id))
        ordered.setdefault(run.id, run)

    for run in runs:
        add(run, ())
    return list(ordered.values())
