"""A plan: the question, the runs as differences from a base configuration, and what is scored and compared."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self, get_args

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from cotpd.core.config import Part
from cotpd.core.errors import UsageError
from cotpd.core.toml import LABEL_TABLES, Section, apply_changes, read_toml, validate
from cotpd.evaluation.matching import Mode

_VIEW = re.compile(r"(text|prompt|knowledge)(?: without ((?:caption|noun|sentence|multimodality)(?:, ?\w+)*))?")
_NAME = re.compile(r"[^\W_][\w.+-]{0,99}")
_NAME_BYTES = 200
"""With its fold and seed, a name is that of a directory: 255 bytes at most."""


class ScoredView(NamedTuple):
    """What a student reads when it is scored: ``knowledge without caption`` leaves a part out."""

    kind: Literal["text", "prompt", "knowledge"]
    without: tuple[Part, ...] = ()

    def __str__(self) -> str:
        return self.kind + (f" without {', '.join(self.without)}" if self.without else "")

    @classmethod
    def of(cls, text: str) -> ScoredView:
        """Read ``text``, ``prompt``, ``knowledge`` or ``knowledge without PART, PART``. Raises ValueError."""
        found = _VIEW.fullmatch(text)
        parts = tuple(re.split(", ?", found[2])) if found and found[2] else ()
        known: tuple[Part, ...] = get_args(Part)
        if found is None or (parts and found[1] != "knowledge") or not set(known).issuperset(parts):
            raise ValueError(f"{text!r} is no view; write text, prompt, knowledge or 'knowledge without caption, noun'")
        return cls(found[1], tuple(part for part in known if part in parts))  # type: ignore[arg-type]


def _is_view(text: str) -> str:
    ScoredView.of(text)
    return text


def _are_distinct(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(seeds)) < len(seeds):
        raise ValueError("a seed stands twice; each makes one run")
    return seeds


Seeds = Annotated[tuple[int, ...], Field(min_length=1), AfterValidator(_are_distinct)]
"""One or more, each once."""

ViewText = Annotated[str, AfterValidator(_is_view)]


def _as_table(side: Any) -> Any:
    return {side: ()} if isinstance(side, str) else side


Side = Annotated[dict[str, tuple[str, ...]], BeforeValidator(_as_table), Field(min_length=1)]
"""``RUN`` or ``RUN@VIEW``; or a table of them with the scores that are pooled, for claims over several corpora."""


class RunPlan(Section):
    """One run: its differences from the base, as `"objective.temperature" = 4` or as tables."""

    like: str | None = None
    """Another run of the plan, from which this one differs instead of from the base."""
    base: Path | None = None
    """Another base configuration than the plan's."""
    seeds: Seeds | None = None
    """Other seeds than the plan's. Runs that need this one take that of their own seed, or else the only one."""
    folds: int | None = Field(default=None, ge=2)
    """Make so many runs, each without one fold of the training posts: cross-fitted targets. They are not scored."""
    note: str = ""
    """What this run is, for the report."""
    control: bool = False
    """Whether no gain may survive in this run; the report marks it."""
    changes: dict[str, Any] = Field(default={})
    """The differences; every key of a run that is none of the above goes here."""

    @model_validator(mode="before")
    @classmethod
    def _sort_keys(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        own = {key: value for key, value in values.items() if key in cls.model_fields}
        others = {key: value for key, value in values.items() if key not in cls.model_fields}
        changes = own.get("changes", {})
        return {**own, "changes": merged(changes, others)} if isinstance(changes, dict) else values

    @field_validator("changes")
    @classmethod
    def _leave_seeds_alone(cls, changes: dict[str, Any]) -> dict[str, Any]:
        return _without_seed(changes)


class ScorePlan(Section):
    """One set of posts on which runs are scored."""

    data: Path | None = None
    """A corpus; by default the one that each run was trained on."""
    split: Literal["train", "dev", "test"] = "dev"
    """Which of its posts."""
    views: tuple[ViewText, ...] = ()
    """What the students read, beside the view that each ships; `knowledge without caption` leaves parts out."""
    runs: tuple[str, ...] = ()
    """The runs that are scored; by default all."""


class ComparisonPlan(Section):
    """One question of the form: is this run better than that one?"""

    run: Side
    """`RUN`, in the view it ships, or `RUN@VIEW`."""
    baseline: Side
    """What it is compared with."""
    ceiling: Side | None = None
    """What could be reached at best: then the share of the way from baseline to ceiling is given, too."""
    on: tuple[str, ...] = ()
    """The scores whose posts are pooled; by default the first score of the plan."""
    name: str = ""
    """What the report calls it."""
    at_least: float = Field(default=0.0, ge=0)
    """The lead, in points of F1, that the claim asks for, beside an interval above 0."""
    descriptive: bool = False
    """Whether it only describes: it gets no verdict, and takes no part in Holm's correction."""

    @model_validator(mode="after")
    def _asks_for_one_thing(self) -> Self:
        if self.descriptive and self.at_least:
            raise ValueError("at_least asks for a verdict, and a descriptive comparison gets none; give one of the two")
        return self

    @property
    def sides(self) -> list[Side]:
        """Run, baseline and, where there is one, ceiling."""
        return [side for side in (self.run, self.baseline, self.ceiling) if side]

    @property
    def title(self) -> str:
        """Its name, or else its sides and the scores that it names."""
        scores = dict.fromkeys([score for names in self.run.values() for score in names] or self.on)
        on = f" on {' + '.join(scores)}" if scores else ""
        return self.name or f"{side_title(self.run)} − {side_title(self.baseline)}{on}"


class Plan(Section):
    """A planned set of runs."""

    question: str = ""
    """What the study asks."""
    base: Path
    """The configuration from which runs differ, relative to the plan or to the working directory."""
    seeds: Seeds = (1,)
    """Each run is made with each of these."""
    changes: dict[str, Any] = Field(default={})
    """Differences from the base that all runs share."""
    runs: dict[str, RunPlan] = Field(min_length=1)
    """The runs by name."""
    scores: dict[str, ScorePlan] = Field(default={"dev": ScorePlan()}, min_length=1)
    """The sets of posts on which they are scored, by name."""
    baseline: str | None = None
    """A run with which every other one is compared on the first score."""
    comparisons: tuple[ComparisonPlan, ...] = ()
    """Further comparisons. Holm's correction covers all that are not descriptive."""
    mode: Mode = "conlleval"
    """The mode of scores and comparisons; the table gives the other one, too."""
    resamples: int = Field(default=10_000, ge=100)
    """Of every interval and p-value."""

    @classmethod
    def read(cls, path: Path, changes: Sequence[str] = ()) -> Plan:
        """Read a plan; ``changes`` such as ``corpus.path=PATH`` change every run of it.

        Raises `UsageError` for a file that cannot be read, an unknown key (with a suggestion) or a wrong value.
        """
        plan = validate(cls, read_toml(path), where=str(path))
        shared: dict[str, Any] = {}
        apply_changes(shared, changes)
        if "seed" in shared:
            plan = validate(cls, {**read_toml(path), "seeds": [shared.pop("seed")]}, where=f"{path} with --set seed")
            alone = {name: run.model_copy(update={"seeds": None}) for name, run in plan.runs.items()}
            plan = plan.model_copy(update={"runs": alone})
        runs = {name: _with_base(run, path) for name, run in plan.runs.items()}
        found = {
            "base": _beside(path, plan.base),
            "runs": {
                name: run.model_copy(update={"changes": merged(merged({}, run.changes), shared)})
                for name, run in runs.items()
            },
        }
        return plan.model_copy(update=found)

    @field_validator("changes")
    @classmethod
    def _leave_seeds_alone(cls, changes: dict[str, Any]) -> dict[str, Any]:
        return _without_seed(changes)

    @field_validator("runs", "scores")
    @classmethod
    def _are_named(cls, tables: dict[str, Any]) -> dict[str, Any]:
        odd = [name for name in tables if not _is_name(name) or re.search(r"-(seed|fold)\d+$", name)]
        if odd:
            raise ValueError(
                f"{odd[0]!r} is no name: a letter or digit, then up to 99 of them and . _ + - ({_NAME_BYTES} bytes in "
                "all), no end such as -seed1"
            )
        return tables

    @model_validator(mode="after")
    def _names_what_it_has(self) -> Self:
        scored = [name for score in self.scores.values() for name in score.runs]
        sides = [side for comparison in self.comparisons for side in comparison.sides]
        compared = [name.partition("@")[0] for side in sides for name in side]
        like = [run.like for run in self.runs.values() if run.like is not None]
        _require(self.runs, [*scored, *compared, *like, *([] if self.baseline is None else [self.baseline])], "run")
        if folded := [name for name in scored if self.runs[name].folds]:
            raise ValueError(f"run {folded[0]} has folds, which are targets and not scored; take it out of scores")
        on = [name for comparison in self.comparisons for name in comparison.on]
        _require(self.scores, [*on, *(name for side in sides for names in side.values() for name in names)], "score")
        for view in (name.partition("@")[2] for side in sides for name in side if "@" in name):
            ScoredView.of(view)
        return self

    @property
    def implied_comparisons(self) -> tuple[ComparisonPlan, ...]:
        """Those of every run scored on the first score with the baseline, also where the plan spells one out."""
        if self.baseline is None:
            return ()
        scored = next(iter(self.scores.values())).runs or tuple(self.runs)
        others = [name for name in scored if name != self.baseline and not self.runs[name].folds]
        return tuple(ComparisonPlan(run={name: ()}, baseline={self.baseline: ()}) for name in others)

    @property
    def first_score(self) -> tuple[str, ...]:
        """The score on which runs are compared where a comparison names none."""
        return tuple(self.scores)[:1]

    def scores_of(self, comparison: ComparisonPlan) -> tuple[str, ...]:
        """The scores of a comparison, for sides that name none of their own."""
        return comparison.on or self.first_score

    def compared_views(self, run: str, score: str) -> list[str]:
        """The views of a run on a score that comparisons name."""
        found = []
        for comparison in self.comparisons:
            for name, on in (entry for side in comparison.sides for entry in side.items()):
                known, _, view = name.partition("@")
                if view and known == run and score in (on or self.scores_of(comparison)):
                    found.append(view)
        return found


def side_title(side: Side) -> str:
    """The runs of a side, with their views where they name them."""
    return " + ".join(side)


def merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Values with changes over them; `"a.b" = c` means the same as a table `[a]` with `b = c`.

    Tables of labels are values: their keys may hold dots, and a table takes the place of the one before.
    """
    result = dict(values)
    for key, value in changes.items():
        place, dot, rest = key.partition(".")
        change = {rest: value} if dot else value
        before = result.get(place, {})
        if isinstance(change, dict) and isinstance(before, dict):
            of_labels = {**before, **change} if dot else change
            result[place] = of_labels if place in LABEL_TABLES else merged(before, change)
        else:
            result[place] = change
    return result


def _is_name(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) and len(name.encode()) <= _NAME_BYTES


def _without_seed(changes: dict[str, Any]) -> dict[str, Any]:
    if {"seed", "seeds"} & changes.keys():
        raise ValueError("the seed is no difference between runs: write seeds = [1, 2, 3], of the plan or of a run")
    return changes


def _require(known: Mapping[str, Any], names: Sequence[str], kind: str) -> None:
    for name in names:
        if name not in known:
            raise ValueError(f"there is no {kind} {name!r} in this plan; it has {', '.join(known)}")


def _beside(plan: Path, base: Path) -> Path:
    """A base relative to the plan, or else to the working directory."""
    for path in (plan.parent / base, base):
        if path.is_file():
            return path
    raise UsageError(f"{plan}: the base {base} lies neither beside the plan nor in the working directory")


def _with_base(run: RunPlan, plan: Path) -> RunPlan:
    return run.model_copy(update={"base": _beside(plan, run.base)}) if run.base else run
