"""The design of a study: a plan with every name resolved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from cotpd.core.config import ExperimentConfig
from cotpd.studies.plan.scored_view import ScoredView

Split = Literal["train", "dev", "test"]


@dataclass(frozen=True, slots=True)
class PlannedScore:
    """One view of a run on one set of examples.

    Attributes:
        name: The name of the set of examples in the plan.
        view: What the student reads.
        split: The split of the corpus.
        corpus: The path of the corpus, or None for the training corpus of the run.
    """

    name: str
    view: ScoredView
    split: Split
    corpus: Path | None


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One training.

    Attributes:
        name: The name in the plan.
        seed: The random seed.
        fold: The number of the held-out fold, from 1. Such a run only provides targets and is not scored.
        path: The run directory.
        config: The complete configuration.
        needs: The ids of the runs that must finish first.
        scores: What to score once the run is finished.
    """

    name: str
    seed: int
    fold: int | None
    path: Path
    config: ExperimentConfig
    needs: tuple[str, ...]
    scores: tuple[PlannedScore, ...] = ()

    @property
    def id(self) -> str:
        """The name of the run directory."""
        return self.path.name


class ScorePlace(NamedTuple):
    """The score of one view of a run on one set of examples, as a part of one side of a comparison."""

    run: str
    view: str
    score: str


@dataclass(frozen=True, slots=True)
class ComparedSide:
    """One side of a comparison: the scores to pool, in the order of their examples."""

    title: str
    places: tuple[ScorePlace, ...]
    is_control: bool


@dataclass(frozen=True, slots=True)
class PlannedComparison:
    """A comparison of two sides, optionally with an upper bound.

    Attributes:
        name: The name in the report, unique in a study.
        run: The side whose lead is measured.
        baseline: The side that it is compared with.
        ceiling: The upper bound, for the share of the gap that the run closes.
        at_least: The smallest lead that the plan requires, in points of F1.
        is_descriptive: Whether the comparison gets no verdict and is ignored by Holm's correction.
    """

    name: str
    run: ComparedSide
    baseline: ComparedSide
    ceiling: ComparedSide | None
    at_least: float
    is_descriptive: bool

    @property
    def sides(self) -> tuple[ComparedSide, ...]:
        """Run, baseline and, if there is one, ceiling."""
        return tuple(side for side in (self.run, self.baseline, self.ceiling) if side)

    @property
    def score_names(self) -> tuple[str, ...]:
        """The sets of examples that are pooled."""
        return tuple(dict.fromkeys(place.score for place in self.run.places))

    @property
    def run_names(self) -> frozenset[str]:
        """The names of the runs on all sides."""
        return frozenset(place.run for side in self.sides for place in side.places)


@dataclass(frozen=True, slots=True)
class StudyDesign:
    """Everything that a study trains, scores and compares.

    Attributes:
        question: The question that the study answers.
        runs: All trainings, each after those that it needs.
        score_names: The sets of examples, in the order of the plan.
        comparisons: All comparisons, in the order of the plan.
        notes: The description of each run by its name in the plan, possibly empty.
        controls: The names of the runs that are controls.
    """

    question: str
    runs: tuple[PlannedRun, ...]
    score_names: tuple[str, ...]
    comparisons: tuple[PlannedComparison, ...]
    notes: Mapping[str, str]
    controls: tuple[str, ...]

    @property
    def num_tested(self) -> int:
        """The number of comparisons that are not descriptive."""
        return sum(not comparison.is_descriptive for comparison in self.comparisons)
