"""Intervals over seeds and posts reflect both sources of variance, and tests have the nominal error rate."""

import numpy as np
import pytest

from cotpd.core.errors import UsageError
from cotpd.evaluation.scores import Scores
from cotpd.evaluation.statistics.over_seeds import gap_closed, hierarchical_interval
from cotpd.evaluation.statistics.significance import compare

NUM_POSTS = 200
GOLD = np.random.default_rng(0).poisson(1.3, size=NUM_POSTS)
T_975 = {2: 12.706, 3: 4.303, 5: 2.776}
"""97.5 % quantile of Student's t by the number of runs (degrees of freedom plus one)."""


def scored(correct: np.ndarray, predicted: np.ndarray, gold: np.ndarray) -> Scores:
    ids = tuple(str(number) for number in range(len(gold)))
    columns = (np.asarray(counts, dtype=np.int64)[:, None] for counts in (correct, predicted, gold))
    return Scores("entities", "exact", "conlleval", ids, ("PER",), *columns)


def drawn(share: float, seed: int) -> Scores:
    """Simulate a predictor that finds each gold entity with this probability and adds a false one to 25 % of posts."""
    generator = np.random.default_rng(seed)
    correct = generator.binomial(GOLD, share)
    return scored(correct, correct + generator.binomial(1, 0.25, size=NUM_POSTS), GOLD)


def even(hundredths: int) -> Scores:
    """Return a run with the same F1 on every post, so that resampling posts has no effect."""
    ones = np.ones(50)
    return scored(hundredths * ones, 100 * ones, 100 * ones)


@pytest.mark.parametrize("hundredths", [(70, 74), (70, 71, 76), (70, 71, 76, 69, 73)])
def test_interval_without_post_variance_is_student_t_interval(hundredths: tuple[int, ...]) -> None:
    """The plain bootstrap of three runs is only 0.43 times as wide as it should be."""
    num_runs = len(hundredths)
    runs, baseline = [even(one) for one in hundredths], [even(60)] * num_runs
    half = T_975[num_runs] * np.std(hundredths, ddof=1) / np.sqrt(num_runs) / 100
    lead = hierarchical_interval(runs, baseline, paired=True, resamples=100_000)
    expected = [max(-1, lead.mean - half), min(1, lead.mean + half)]
    assert list(lead.interval) == pytest.approx(expected, rel=0.03)
    mean = hierarchical_interval(runs, resamples=100_000)
    assert list(mean.interval) == pytest.approx([max(0, mean.mean - half), min(1, mean.mean + half)], rel=0.03)


def test_pairing_by_seed_removes_variance_that_both_groups_share() -> None:
    runs, baseline = ([even(one + lead) for one in (60, 70, 80, 65, 75)] for lead in (3, 0))
    paired = hierarchical_interval(runs, baseline, paired=True)
    assert paired.interval == pytest.approx((0.03, 0.03))
    assert paired.p_value == 1 / 10_001
    unpaired = hierarchical_interval(runs, baseline)
    assert unpaired.interval.low < 0 < unpaired.interval.high
    with pytest.raises(UsageError, match=r"need the same number of runs.* got 5, 3"):
        hierarchical_interval(runs, baseline[:3], paired=True)


def simulated(num_seeds: int, spread: float, noise: float, generator: np.random.Generator) -> list[list[Scores]]:
    """Simulate two groups without a true difference.

    ``spread`` is the standard deviation of the seeds' effects, ``noise`` that of the seed-post interaction (log-odds).
    """
    num_posts = 150
    gold, ease = generator.poisson(1.6, size=num_posts), generator.normal(1.5, 1.2, size=num_posts)

    def run() -> Scores:
        odds = ease + generator.normal(0, spread) + generator.normal(0, noise, size=num_posts)
        correct = generator.binomial(gold, 1 / (1 + np.exp(-odds)))
        return scored(correct, correct + generator.binomial(1, 0.2, size=num_posts), gold)

    return [[run() for _ in range(num_seeds)] for _ in range(2)]


@pytest.mark.parametrize(("num_seeds", "spread", "noise"), [(3, 0.0, 0.6), (3, 0.5, 0.0), (5, 0.3, 0.3)])
def test_false_positive_rate_is_about_5_percent(num_seeds: int, spread: float, noise: float) -> None:
    """The rate of the plain bootstrap is 14 % if only the seeds' effects vary, and 0 % if only the interaction does."""
    generator = np.random.default_rng(7)
    num_significant = 0
    for _ in range(300):
        runs, baseline = simulated(num_seeds, spread, noise, generator)
        lead = hierarchical_interval(runs, baseline, paired=True, resamples=59)
        assert lead.p_value is not None
        num_significant += lead.p_value <= 0.05
    assert 6 <= num_significant <= 27, "expected 15 ± 8 of 300"


def test_copies_of_a_run_have_the_interval_of_one_run() -> None:
    """All runs share the resampled posts. With separate posts, five copies would seem more certain than one run."""
    scores = drawn(0.7, 1)
    copies = hierarchical_interval([scores] * 5)
    assert copies.interval == pytest.approx(scores.interval, abs=0.004)
    assert (copies.mean, copies.num_runs) == (pytest.approx(scores.micro_f1), 5)


def test_variance_between_runs_widens_the_interval() -> None:
    equal = hierarchical_interval([drawn(0.7, 1)] * 4).interval
    different = hierarchical_interval([drawn(share, 1) for share in (0.5, 0.6, 0.8, 0.9)]).interval
    assert different.high - different.low > 1.5 * (equal.high - equal.low)


def test_lead_over_a_baseline_is_the_difference_of_means() -> None:
    runs, baseline = [drawn(0.85, seed) for seed in range(3)], [drawn(0.6, seed) for seed in range(10, 15)]
    lead = hierarchical_interval(runs, baseline)
    assert lead.mean == pytest.approx(np.mean([r.micro_f1 for r in runs]) - np.mean([b.micro_f1 for b in baseline]))
    assert 0 < lead.interval.low < lead.mean < lead.interval.high
    none = hierarchical_interval(runs, runs).interval
    assert none.low < 0 < none.high
    with pytest.raises(UsageError, match="at least one run"):
        hierarchical_interval([])


def test_p_value_agrees_with_the_interval() -> None:
    runs, baseline = [drawn(0.75, seed) for seed in range(5)], [drawn(0.6, seed) for seed in range(5, 10)]
    clear = hierarchical_interval(runs, baseline, resamples=2_000)
    assert clear.p_value is not None
    assert clear.p_value < 0.005
    assert clear.interval.low > 0
    none = hierarchical_interval(runs, [drawn(0.75, seed) for seed in range(5, 10)], resamples=2_000)
    assert none.p_value is not None
    assert none.p_value > 0.1
    assert none.interval.low < 0 < none.interval.high
    assert hierarchical_interval(runs).p_value is None


def test_single_seed_has_the_p_value_of_compare() -> None:
    one, other = drawn(0.7, 1), drawn(0.67, 2)
    assert hierarchical_interval([one], [other]).p_value == pytest.approx(compare(one, other).p_bootstrap, abs=0.02)


def test_gap_closed_is_the_share_of_the_gap_and_has_no_interval_without_a_clear_gap() -> None:
    low, middle, high = (
        [drawn(share, seed + 10 * number) for seed in range(4)] for number, share in enumerate((0.5, 0.65, 0.8))
    )
    closed = gap_closed(middle, low, high, resamples=2_000)
    assert closed.share == pytest.approx(0.5, abs=0.15)
    assert closed.interval is not None
    assert 0.2 < closed.interval.low < closed.share < closed.interval.high < 0.8
    assert gap_closed(high, low, high, resamples=200).share == 1.0
    assert gap_closed(middle, high, low, resamples=200) == (None, None), "a ceiling below the baseline"
    no_gap = gap_closed(middle, low, [drawn(0.5, seed) for seed in range(90, 94)], resamples=2_000)
    assert no_gap.interval is None
