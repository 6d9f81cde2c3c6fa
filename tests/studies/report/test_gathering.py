"""Results follow from the outcomes of runs: seeds are paired, and missing runs make no comparison more certain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from cotpd.studies.execution.run_state import RunState
from cotpd.studies.execution.runner import RunOutcome
from cotpd.studies.plan.design import StudyDesign
from cotpd.studies.report.gathering import gather
from cotpd.studies.report.results import Results
from cotpd.studies.report.verdict import ComparisonVerdict, remarks, verdict_of

Resolve = Callable[[str], StudyDesign]
Gather = Callable[..., Results]

TEXT = '[runs.text]\n"objective.student" = "text"\nONE_VIEW\n'
RUNS = f'{TEXT}\n[runs.both]\n[runs.known]\n"objective.student" = "knowledge"\nONE_VIEW\n'


@pytest.fixture
def gathered(made_up_scores: Callable[..., Any]) -> Gather:
    """Gather the results of a design.

    ``correct`` is the number of correct predictions of each run by name, or by id for a single seed; a string is the
    reason why a run failed, and a `RunState` that of a pending run.
    """

    def gather_results(design: StudyDesign, correct: Mapping[str, int | str | RunState], **sizes: int) -> Results:
        outcomes = []
        for run in design.runs:
            value = correct.get(run.id, correct[run.name])
            if isinstance(value, RunState):
                outcomes.append(RunOutcome(run, value))
            elif isinstance(value, str):
                outcomes.append(RunOutcome(run, RunState.FAILED, problem=value))
            else:
                run.path.mkdir(parents=True, exist_ok=True)
                (run.path / "metrics.jsonl").write_text('{"step": 3, "dev_f1": 0.5}\n', encoding="utf-8")
                scores = made_up_scores(run, value, num_posts=sizes.get(run.name, 8))
                outcomes.append(RunOutcome(run, RunState.FINISHED, scores))
        return gather(design, outcomes, name="out", command="cotpd study plan.toml")

    return gather_results


def test_rows_are_in_the_order_of_the_plan_with_the_values_of_all_seeds(resolve: Resolve, gathered: Gather) -> None:
    design = resolve(
        f"seeds = [2, 1]\n{RUNS}[scores.dev]\nviews = ['text', 'knowledge without caption']\n[scores.test]"
    )
    results = gathered(design, {"text": 3, "both": 5, "known": 6})
    rows = [(row.run, row.score, row.view) for row in results.rows]
    assert rows[:3] == [("text", "dev", "text"), ("text", "dev", "knowledge without caption"), ("both", "dev", "text")]
    assert [row.run for row in results.rows if row.score == "test"] == ["text", "both", "known"]
    first = results.rows[0]
    assert list(first.values.items()) == [(1, pytest.approx(6 / 11)), (2, pytest.approx(6 / 11))]
    assert (first.mean, first.strict_mean, first.deviation) == (pytest.approx(6 / 11), pytest.approx(6 / 11), 0.0)
    assert first.is_deployed
    assert [command.split()[:2] for command in first.commands] == [["cotpd", "evaluate"]] * 2
    assert results.rows[1].commands == ("cotpd study plan.toml",), "no other command scores a part of the knowledge"
    assert [curve.points for curve in results.curves] == [((3, 0.5),)] * 6
    assert (results.num_runs, results.num_finished) == (6, 6)


def test_a_failed_seed_leaves_the_other_seeds_paired(resolve: Resolve, gathered: Gather) -> None:
    design = resolve(f"seeds = [1, 2]\nbaseline = 'text'\n{TEXT}[runs.same]\nlike = 'text'")
    results = gathered(design, {"text-seed1": 3, "text-seed2": 6, "same": 3, "same-seed2": "out of memory", "text": 0})
    (one,) = results.compared
    assert (one.lead, one.num_seeds, one.missing_seeds) == (0.0, 1, (2,))
    assert results.failures == {"same-seed2": "out of memory"}
    assert any("without seed 2" in remark for remark in remarks(one))


def test_holms_correction_counts_missing_comparisons_but_not_descriptive_ones(
    resolve: Resolve, gathered: Gather
) -> None:
    comparison = "[[comparisons]]\nbaseline = 'text'\n"
    design = resolve(
        f"seeds = [1, 2]\n{RUNS}{comparison}run = 'both'\n{comparison}run = 'known'\n"
        f"{comparison}run = 'both@knowledge'\ndescriptive = true"
    )
    results = gathered(design, {"text": 3, "both": 4, "known": "diverged"})
    decided, described = results.compared
    assert decided.p_holm == min(1.0, 2 * decided.p_value) > decided.p_value
    assert (described.p_holm, verdict_of(described)) == (None, ComparisonVerdict.DESCRIBED)
    assert "no seed has all scores of known" in results.failures["comparison known − text"]


def test_a_ceiling_with_fewer_seeds_or_none_does_not_change_the_lead(resolve: Resolve, gathered: Gather) -> None:
    design = resolve(f"seeds = [1, 2]\n{RUNS}[[comparisons]]\nrun = 'both'\nbaseline = 'text'\nceiling = 'known'")
    (whole,) = gathered(design, {"text": 2, "both": 4, "known": 8}).compared
    (fewer,) = gathered(design, {"text": 2, "both": 4, "known": 8, "known-seed2": "diverged"}).compared
    (without,) = gathered(design, {"text": 2, "both": 4, "known": "diverged"}).compared
    assert whole.gap_closed
    assert whole.gap_closed.share == pytest.approx((2 / 3 - 0.4) / (1 - 0.4))
    assert (whole.num_seeds, whole.gap_num_seeds) == (2, 2)
    assert (fewer.lead, fewer.num_seeds, fewer.gap_num_seeds) == (whole.lead, 2, 1)
    assert any("uses 1 of 2 seeds" in remark for remark in remarks(fewer))
    assert (without.lead, without.ceiling, without.gap_closed) == (whole.lead, "known", None)
    assert any("known has no scores of these examples" in remark for remark in remarks(without))


def test_sets_of_examples_are_pooled_in_any_order(resolve: Resolve, gathered: Gather) -> None:
    design = resolve(
        f"{RUNS}[scores.dev]\n[scores.test]\nsplit = 'test'\n[[comparisons]]\n"
        "run = { both = ['dev', 'test'] }\nbaseline = { text = ['test', 'dev'] }"
    )
    (one,) = gathered(design, {"text": 3, "both": 4, "known": 8}).compared
    assert (one.on, one.num_posts) == ("dev + test", 16)


def test_runs_on_different_examples_are_not_compared(resolve: Resolve, gathered: Gather) -> None:
    design = resolve(f"baseline = 'text'\nseeds = [1, 2]\n{TEXT}[runs.other]\nlike = 'text'")
    for pending in ({}, {"other-seed2": RunState.NEW}):
        results = gathered(design, {"text": 3, "other": 3, **pending}, other=6)
        assert "same examples" in results.failures["comparison other − text"]
        assert [row.num_posts for row in results.rows] == [8, 6]


def test_a_comparison_of_pending_runs_is_unfinished(resolve: Resolve, gathered: Gather) -> None:
    design = resolve(f"baseline = 'text'\nseeds = [1, 2]\n{TEXT}[runs.both]\n[runs.later]")
    later = {"later": RunState.NEW, "text-seed2": RunState.NEW, "both-seed2": RunState.STARTED}
    results = gathered(design, {"text": 3, "both": 4, **later})
    assert not results.failures
    assert results.unfinished == {
        "text-seed2": "to do", "both-seed2": "started", "later-seed1": "to do", "later-seed2": "to do",
        "comparison later − text": "needs runs that are not finished",
    }  # fmt: skip
    assert [(one.name, one.num_seeds) for one in results.compared] == [("both − text", 1)]
    assert (results.num_finished, results.num_runs) == (2, 6)


def test_a_missing_learning_curve_is_a_failure_without_effect_on_scores(
    resolve: Resolve, made_up_scores: Callable[..., Any]
) -> None:
    (run,) = resolve(TEXT).runs
    outcome = RunOutcome(run, RunState.FINISHED, made_up_scores(run, 3))
    results = gather(resolve(TEXT), [outcome], name="out", command="")
    assert "has no learning curve" in results.failures["text-seed1"]
    assert len(results.rows) == 1
    folded = replace(outcome, run=replace(run, fold=1), scores=())
    assert not gather(resolve(TEXT), [folded], name="out", command="").failures
