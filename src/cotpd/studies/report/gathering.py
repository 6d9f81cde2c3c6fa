"""The results of a study from the outcomes of its runs."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean

from cotpd.core.errors import CotpdError
from cotpd.evaluation.matching import DEFAULT_MODE, UNSEEN
from cotpd.evaluation.scores import TypeScores
from cotpd.evaluation.statistics.over_seeds import hierarchical_interval
from cotpd.evaluation.statistics.significance import mean_and_deviation
from cotpd.studies.execution.run_state import RunState
from cotpd.studies.execution.runner import RunOutcome
from cotpd.studies.execution.scoring import LABELLED, OTHER, RunScore
from cotpd.studies.plan.design import StudyDesign
from cotpd.studies.plan.scored_view import ScoredView
from cotpd.studies.report.comparing import MissingScoresError, apply_holm_correction, compare_sides
from cotpd.studies.report.curves import Curve, read_curve
from cotpd.studies.report.results import RESAMPLES, ComparisonResult, EntityGroupScore, Results, ScoreRow


def gather(design: StudyDesign, outcomes: Sequence[RunOutcome], *, name: str, command: str) -> Results:
    """Gather the results of a study.

    A comparison without scores counts as unfinished if one of its runs is unfinished, and as a failure otherwise.

    Args:
        design: The design of the study.
        outcomes: The outcome of every run of the design.
        name: The name of the study.
        command: The command that reproduces the study.
    """
    scores = [score for outcome in outcomes for score in outcome.scores]
    failures = {outcome.run.id: outcome.problem for outcome in outcomes if outcome.problem}
    unfinished = {outcome.run.id: outcome.state.value for outcome in outcomes if outcome.state.is_pending}
    curves = tuple(_curves(outcomes, failures))
    pending = {outcome.run.name for outcome in outcomes if outcome.state.is_pending}
    compared: list[ComparisonResult] = []
    for planned in design.comparisons:
        try:
            compared.append(compare_sides(planned, scores))
        except CotpdError as error:
            if isinstance(error, MissingScoresError) and pending & planned.run_names:
                unfinished[f"comparison {planned.name}"] = "needs runs that are not finished"
            else:
                failures[f"comparison {planned.name}"] = str(error)
    return Results(
        name=name,
        question=design.question,
        command=command,
        rows=tuple(_rows(design, scores, command)),
        compared=tuple(apply_holm_correction(compared, num_planned=design.num_tested)),
        curves=curves,
        failures=failures,
        unfinished=unfinished,
        notes=design.notes,
        controls=design.controls,
        num_runs=len(outcomes),
        num_finished=sum(outcome.state is RunState.FINISHED for outcome in outcomes),
    )


def _curves(outcomes: Sequence[RunOutcome], failures: dict[str, str]) -> Iterator[Curve]:
    """Yield the learning curves of finished runs, and record unreadable ones in ``failures``."""
    for outcome in outcomes:
        if outcome.state is RunState.FINISHED and not outcome.run.fold:
            try:
                yield read_curve(outcome.run)
            except CotpdError as error:
                failures.setdefault(outcome.run.id, f"has no learning curve: {error}")


def _rows(design: StudyDesign, scores: Sequence[RunScore], command: str) -> Iterator[ScoreRow]:
    """Yield a row for each set of examples, run and view, in the order of the plan."""
    for name in design.score_names:
        for run in design.notes:
            own = [score for score in scores if (score.planned.name, score.run.name) == (name, run)]
            for view in dict.fromkeys(score.planned.view for score in own):
                group = [score for score in own if score.planned.view == view]
                yield _row(view, sorted(group, key=lambda score: score.run.seed), command)


def _row(view: ScoredView, seeds: Sequence[RunScore], command: str) -> ScoreRow:
    scores, run = [seed.scores[DEFAULT_MODE] for seed in seeds], seeds[0].run
    estimate = hierarchical_interval(scores, resamples=RESAMPLES)
    return ScoreRow(
        run=run.name,
        score=seeds[0].planned.name,
        view=str(view),
        values={seed.run.seed: seed.scores[DEFAULT_MODE].micro_f1 for seed in seeds},
        mean=estimate.mean,
        deviation=mean_and_deviation([score.micro_f1 for score in scores]).deviation,
        interval=estimate.interval,
        strict_mean=mean_and_deviation([seed.scores["strict"].micro_f1 for seed in seeds]).mean,
        by_training=_by_training([seed.by_training.by_type for seed in seeds if seed.by_training]),
        num_posts=scores[0].num_posts,
        is_deployed=str(view) == run.config.objective.student,
        commands=(command,) if view.without else tuple(map(_evaluate_command, seeds)),
    )


def _by_training(seeds: Sequence[Mapping[str, TypeScores]]) -> dict[str, EntityGroupScore]:
    """Average the scores of each group of entities over seeds, without groups that have no gold entities."""
    none = TypeScores(0, 0, 0)
    groups = {group: [counts.get(group, none) for counts in seeds] for group in (LABELLED, OTHER, UNSEEN)}
    return {
        group: EntityGroupScore(fmean(seed.rates.f1 for seed in by_seed), fmean(seed.support for seed in by_seed))
        for group, by_seed in groups.items()
        if any(seed.support for seed in by_seed)
    }


def _evaluate_command(score: RunScore) -> str:
    run, corpus = shlex.quote(str(score.run.path)), shlex.quote(str(score.corpus))
    planned = score.planned
    return f"cotpd evaluate {run} {corpus} --split {planned.split} --view {planned.view.kind} --mode {DEFAULT_MODE}"
