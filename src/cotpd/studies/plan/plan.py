"""The format of plan files: the runs as differences from a base configuration, and what to score and compare."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from cotpd.core.errors import UsageError
from cotpd.core.toml import Section, apply_changes, read_toml, validate
from cotpd.studies.plan.scored_view import ScoredView
from cotpd.studies.plan.settings import merge_settings

_NAME = re.compile(r"[^\W_][\w.+-]{0,99}")
_MAX_NAME_BYTES = 200
"""A name with its fold and seed becomes a directory name, which is limited to 255 bytes."""


def _require_distinct(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"a seed occurs twice in {list(seeds)}; list each seed once")
    return seeds


def _require_view(text: str) -> str:
    ScoredView.parse(text)
    return text


def _as_table(side: Any) -> Any:
    return {side: ()} if isinstance(side, str) else side


Seeds = Annotated[tuple[int, ...], Field(min_length=1), AfterValidator(_require_distinct)]

ViewText = Annotated[str, AfterValidator(_require_view)]

SidePlan = Annotated[dict[str, tuple[str, ...]], BeforeValidator(_as_table), Field(min_length=1)]
"""``RUN`` or ``RUN@VIEW``, or a table from these to the scores that are pooled."""


class RunPlan(Section):
    """One run: its settings that differ from the base, as `"objective.temperature" = 4` or as tables."""

    like: str | None = None
    """Another run of the plan whose settings replace the base."""
    base: Path | None = None
    """A base configuration for this run, instead of the plan's."""
    folds: int | None = Field(default=None, ge=2)
    """Train this many runs, each without one fold, to provide cross-fitted targets. They are not scored."""
    note: str = ""
    """A description for the report."""
    control: bool = False
    """Whether this run is a control, which should show no gain; the report marks it."""
    settings: dict[str, Any] = Field(default={})
    """All other keys of the run. A plan has no key of this name."""

    @model_validator(mode="before")
    @classmethod
    def _collect_settings(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        own_keys = cls.model_fields.keys() - {"settings"}
        own = {key: value for key, value in values.items() if key in own_keys}
        others = {key: value for key, value in values.items() if key not in own_keys}
        return {**own, "settings": merge_settings({}, others)}

    @field_validator("settings")
    @classmethod
    def _reject_seed(cls, settings: dict[str, Any]) -> dict[str, Any]:
        return _require_no_seed(settings)


class ScorePlan(Section):
    """One set of examples on which runs are scored."""

    data: Path | None = None
    """A corpus; by default the training corpus of each run."""
    split: Literal["train", "dev", "test"] = "dev"
    """The split of the corpus."""
    views: tuple[ViewText, ...] = ()
    """Views to score in addition to the deployed view; `knowledge without caption` omits parts of the knowledge."""
    runs: tuple[str, ...] = ()
    """The runs to score; by default all."""


class ComparisonPlan(Section):
    """One question of the form: is this run better than that one?"""

    run: SidePlan
    """`RUN`, in its deployed view, or `RUN@VIEW`."""
    baseline: SidePlan
    """The side that the run is compared with."""
    ceiling: SidePlan | None = None
    """An upper bound; if given, the report states how much of the gap from baseline to ceiling the run closes."""
    on: tuple[str, ...] = ()
    """The scores whose examples are pooled; by default the first score of the plan."""
    name: str = ""
    """The name in the report; by default both sides."""
    at_least: float = Field(default=0.0, ge=0)
    """The smallest lead, in points of F1, that the plan requires."""
    descriptive: bool = False
    """Whether to report figures without a verdict; Holm's correction then ignores the comparison."""

    @model_validator(mode="after")
    def _check_descriptive(self) -> Self:
        if self.descriptive and self.at_least:
            raise ValueError("at_least needs a verdict, and descriptive = true omits it; remove one of the two")
        return self

    @property
    def sides(self) -> list[SidePlan]:
        """Run, baseline and, if there is one, ceiling."""
        return [side for side in (self.run, self.baseline, self.ceiling) if side]


class Plan(Section):
    """A planned set of runs."""

    question: str = ""
    """The question that the study answers."""
    base: Path
    """The configuration from which runs differ, relative to the plan or to the working directory."""
    seeds: Seeds = (1,)
    """The seeds. Each run is trained once per seed."""
    changes: dict[str, Any] = Field(default={})
    """Settings that differ from the base in all runs."""
    runs: dict[str, RunPlan] = Field(min_length=1)
    """The runs by name."""
    scores: dict[str, ScorePlan] = Field(default={"dev": ScorePlan()}, min_length=1)
    """The sets of examples on which runs are scored, by name."""
    baseline: str | None = None
    """A run with which every other run is compared on the first score."""
    comparisons: tuple[ComparisonPlan, ...] = ()
    """Further comparisons. Holm's correction covers all that are not descriptive."""

    @classmethod
    def read(cls, path: Path, changes: Sequence[str] = ()) -> Plan:
        """Read a plan file.

        Args:
            path: The TOML file.
            changes: Settings such as ``corpus.path=PATH`` to change in every run. ``seed=7`` replaces all seeds.

        Raises:
            UsageError: If the file cannot be read, or a key is unknown (with a suggestion) or has a wrong value.
        """
        values, where, overrides = read_toml(path), str(path), dict[str, Any]()
        apply_changes(overrides, changes)
        if "seed" in overrides:
            values, where = {**values, "seeds": [overrides.pop("seed")]}, f"{path} with --set seed"
        plan = validate(cls, values, where=where)
        runs = {
            name: run.model_copy(
                update={
                    "base": _find_base(path, run.base) if run.base else None,
                    "settings": merge_settings(run.settings, overrides),
                }
            )
            for name, run in plan.runs.items()
        }
        return plan.model_copy(update={"base": _find_base(path, plan.base), "runs": runs})

    @field_validator("changes")
    @classmethod
    def _reject_seed(cls, changes: dict[str, Any]) -> dict[str, Any]:
        return _require_no_seed(changes)

    @field_validator("runs", "scores")
    @classmethod
    def _check_names(cls, tables: dict[str, Any]) -> dict[str, Any]:
        for name in tables:
            if not _is_name(name) or re.search(r"-(seed|fold)\d+$", name):
                raise ValueError(
                    f"{name!r} is not a valid name: use a letter or digit followed by up to 99 letters, digits and "
                    f". _ + - (at most {_MAX_NAME_BYTES} bytes), without an ending such as -seed1"
                )
        return tables

    @model_validator(mode="after")
    def _check_references(self) -> Self:
        scored = [name for score in self.scores.values() for name in score.runs]
        sides = [side for comparison in self.comparisons for side in comparison.sides]
        entries = [entry.partition("@") for side in sides for entry in side]
        similar = [run.like for run in self.runs.values() if run.like is not None]
        baseline = [] if self.baseline is None else [self.baseline]
        _require_known(self.runs, [*scored, *(run for run, _, _ in entries), *similar, *baseline], "run")
        if folded := [name for name in scored if self.runs[name].folds]:
            raise ValueError(f"run {folded[0]} has folds: it only provides targets; remove it from scores")
        pooled = [score for comparison in self.comparisons for score in comparison.on]
        _require_known(
            self.scores, [*pooled, *(score for side in sides for on in side.values() for score in on)], "score"
        )
        for _, at, view in entries:
            if at:
                ScoredView.parse(view)
        return self


def _is_name(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) and len(name.encode()) <= _MAX_NAME_BYTES


def _require_no_seed(settings: dict[str, Any]) -> dict[str, Any]:
    if {"seed", "seeds"} & settings.keys():
        raise ValueError("the seed is not a setting of single runs: write seeds = [1, 2, 3] at the top of the plan")
    return settings


def _require_known(known: Mapping[str, Any], names: Sequence[str], kind: str) -> None:
    for name in names:
        if name not in known:
            raise ValueError(f"there is no {kind} {name!r} in this plan; choose from {', '.join(known)}")


def _find_base(plan_path: Path, base: Path) -> Path:
    """Return the path of a base that is relative to the plan or to the working directory."""
    for path in (plan_path.parent / base, base):
        if path.is_file():
            return path
    raise UsageError(f"{plan_path}: base {base} exists neither next to the plan nor in the working directory")
