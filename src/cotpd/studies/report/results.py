"""The results of a study: scores, comparisons, learning curves, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from cotpd.evaluation.statistics.over_seeds import GapClosed
from cotpd.evaluation.statistics.resampling import Interval
from cotpd.studies.report.curves import Curve

RESAMPLES = 10_000
"""The number of bootstrap samples of every interval and p-value."""


class EntityGroupScore(NamedTuple):
    """Micro F1 and number of gold entities of one group, as means over seeds."""

    f1: float
    support: float


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """Micro F1 of one run in one view on one set of examples, over its seeds.

    Attributes:
        run: The name of the run.
        score: The name of the set of examples.
        view: The view.
        values: Micro F1 by seed.
        mean: The mean over seeds.
        deviation: The sample standard deviation over seeds, or None for a single seed.
        interval: The 95 % interval over seeds and posts.
        strict_mean: The mean over seeds in the strict mode.
        by_training: Scores of entities, grouped by their occurrence in the training set.
        num_posts: The number of scored posts.
        is_deployed: Whether this is the deployed view of the run.
        commands: The commands that reproduce the values.
    """

    run: str
    score: str
    view: str
    values: Mapping[int, float]
    mean: float
    deviation: float | None
    interval: Interval
    strict_mean: float
    by_training: Mapping[str, EntityGroupScore]
    num_posts: int
    is_deployed: bool
    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ComparisonResult:
    """The lead of a run over a baseline in mean micro F1, and its uncertainty.

    Attributes:
        name: The name of the comparison.
        run: The side whose lead is measured.
        baseline: The side that it is compared with.
        on: The sets of examples that are pooled.
        lead: The difference of the means.
        interval: The 95 % interval of the lead.
        p_value: The p-value without correction.
        p_holm: The p-value after Holm's correction for all comparisons of the plan, or None for a descriptive one.
        at_least: The smallest lead that the plan requires, from 0 to 1.
        num_seeds: The number of seeds that both sides have.
        missing_seeds: The seeds that only one side has.
        num_posts: The number of scored posts.
        run_is_control: Whether the run is a control.
        baseline_is_control: Whether the baseline is a control.
        ceiling: The upper bound, if the plan has one.
        gap_closed: The share of the gap from baseline to ceiling that the run closes, or None without scores of the
            ceiling on these examples.
        gap_num_seeds: The number of seeds that run, baseline and ceiling have.
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
    num_seeds: int
    missing_seeds: tuple[int, ...]
    num_posts: int
    run_is_control: bool
    baseline_is_control: bool
    ceiling: str | None = None
    gap_closed: GapClosed | None = None
    gap_num_seeds: int = 0


@dataclass(frozen=True, slots=True)
class Results:
    """The content of a report.

    Attributes:
        name: The name of the study.
        question: The question that the study answers.
        command: The command that reproduces the study.
        rows: The scores.
        compared: The comparisons.
        curves: The learning curves.
        failures: The runs and comparisons that failed, with reasons.
        unfinished: The runs and comparisons that are not finished, with their states.
        notes: The description of each run of the plan, possibly empty.
        controls: The names of the runs that are controls.
        num_runs: The number of planned runs.
        num_finished: The number of finished runs.
    """

    name: str
    question: str
    command: str
    rows: tuple[ScoreRow, ...]
    compared: tuple[ComparisonResult, ...]
    curves: tuple[Curve, ...]
    failures: Mapping[str, str]
    unfinished: Mapping[str, str]
    notes: Mapping[str, str]
    controls: tuple[str, ...]
    num_runs: int
    num_finished: int
