"""Intervals over seeds and posts are as wide as both ask, and find no effect where there is none."""

import numpy as np
import pytest

from cotpd.core.errors import UsageError
from cotpd.evaluation.scores import Scores
from cotpd.evaluation.statistics.over_seeds import gap_closed, hierarchical_interval
from cotpd.evaluation.statistics.significance import compare

NUM_POSTS = 200
GOLD = np.random.default_rng(0).poisson(1.3, size=NUM_POSTS)
T_975 = {2: 12.706, 3: 4.303, 5: 2.776}
"""Student's t at 97.5 %, by the number of runs (tables have it by degrees of freedom, one less)."""


def scored(correct: np.ndarray, predicted: np.ndarray, gold: np.ndarray) -> Scores:
    ids = tuple(str(number) for number in range(len(gold)))
    columns = (np.asarray(counts, dtype=np.int64)[:, None] for counts in (correct, predicted, gold))
    return Scores("entities", "exact", "conlleval", ids, ("PER",), *columns)


def drawn(share: float, seed: int) -> Scores:
    """A predictor that finds each gold entity with this probability, and adds a false one to every fourth post."""
    generator = np.random.default_rng(seed)
    correct = generator.binomial(GOLD, share)
    return scored(correct, correct + generator.binomial(1, 0.25, size=NUM_POSTS), GOLD)


def even(hundredths: int) -> Scores:
    """A run whose F1 is this on every post, so that drawing posts changes nothing."""
    ones = np.ones(50)
    return scored(hundredths * ones, 100 * ones, 100 * ones)


@pytest.mark.parametrize("found", [(70, 74), (70, 71, 76), (70, 71, 76, 69, 73)])
def test_without_variance_of_posts_the_interval_is_student_s(found: tuple[int, ...]) -> None:
    """Few seeds: the plain bootstrap of three runs is 0.43 times as wide as it should be."""
    runs, baseline = [even(one) for one in found], [even(60)] * len(found)
    half = T_975[len(found)] * np.std(found, ddof=1) / np.sqrt(len(found)) / 100
    lead = hierarchical_interval(runs, baseline, paired=True, resamples=100_000)
    expected = [max(-1, lead.mean - half), min(1, lead.mean + half)]
    assert list(lead.interval) == pytest.approx(expected, rel=0.03)
    alone = hierarchical_interval(runs, resamples=100_000)
    assert list(alone.interval) == pytest.approx([max(0, alone.mean - half), min(1, alone.mean + half)], rel=0.03)


def test_pairs_of_a_seed_share_its_luck() -> None:
    """Each seed draws its own training posts, say: its runs are good or bad together, and the lead is steady."""
    runs, baseline = ([even(one + lead) for one in (60, 70, 80, 65, 75)] for lead in (3, 0))
    paired = hierarchical_interval(runs, baseline, paired=True)
    assert paired.interval == pytest.approx((0.03, 0.03))
    assert paired.p_value == 1 / 10_001
    apart = hierarchical_interval(runs, baseline)
    assert apart.interval.low < 0 < apart.interval.high
    with pytest.raises(UsageError, match="as many runs on every side"):
        hierarchical_interval(runs, baseline[:3], paired=True)


def simulated(num_seeds: int, spread: float, noise: float, generator: np.random.Generator) -> list[list[Scores]]:
    """Two sides of the same law: ``spread``: how far seeds as such differ, ``noise``: how far they do post by post."""
    gold, ease = generator.poisson(1.6, size=150), generator.normal(1.5, 1.2, size=150)

    def run() -> Scores:
        odds = ease + generator.normal(0, spread) + generator.normal(0, noise, size=150)
        correct = generator.binomial(gold, 1 / (1 + np.exp(-odds)))
        return scored(correct, correct + generator.binomial(1, 0.2, size=150), gold)

    return [[run() for _ in range(num_seeds)] for _ in range(2)]


@pytest.mark.parametrize(("num_seeds", "spread", "noise"), [(3, 0.0, 0.6), (3, 0.5, 0.0), (5, 0.3, 0.3)])
def test_no_effect_is_found_in_about_one_of_twenty(num_seeds: int, spread: float, noise: float) -> None:
    """Where seeds as such differ, the plain bootstrap finds one in seven; where posts alone do, none at all."""
    generator = np.random.default_rng(7)
    found = 0
    for _ in range(400):
        runs, baseline = simulated(num_seeds, spread, noise, generator)
        lead = hierarchical_interval(runs, baseline, paired=True, resamples=300)
        assert lead.p_value is not None
        found += lead.p_value <= 0.05
    assert 8 <= found <= 36, "of 400; by chance alone 20, give or take 9"


def test_runs_that_agree_tell_no_more_about_posts_than_one() -> None:
    """Posts are drawn for all runs at once; drawn for each apart, five copies would seem more certain than one."""
    scores = drawn(0.7, 1)
    copies = hierarchical_interval([scores] * 5)
    assert copies.interval == pytest.approx(scores.interval, abs=0.004)
    assert (copies.mean, copies.num_runs) == (pytest.approx(scores.micro_f1), 5)


def test_runs_that_differ_widen_the_interval() -> None:
    steady = hierarchical_interval([drawn(0.7, 1)] * 4).interval
    unsteady = hierarchical_interval([drawn(share, 1) for share in (0.5, 0.6, 0.8, 0.9)]).interval
    assert unsteady.high - unsteady.low > 1.5 * (steady.high - steady.low)


def test_the_lead_over_a_baseline_is_the_difference_of_means() -> None:
    runs, baseline = [drawn(0.85, seed) for seed in range(3)], [drawn(0.6, seed) for seed in range(10, 15)]
    lead = hierarchical_interval(runs, baseline)
    assert lead.mean == pytest.approx(np.mean([r.micro_f1 for r in runs]) - np.mean([b.micro_f1 for b in baseline]))
    assert 0 < lead.interval.low < lead.mean < lead.interval.high
    none = hierarchical_interval(runs, runs).interval
    assert none.low < 0 < none.high
    with pytest.raises(UsageError, match="one run or more"):
        hierarchical_interval([])


def test_the_lead_of_seeds_has_a_p_value_that_its_interval_agrees_with() -> None:
    runs, baseline = [drawn(0.75, seed) for seed in range(5)], [drawn(0.6, seed) for seed in range(5, 10)]
    sure = hierarchical_interval(runs, baseline, resamples=2_000)
    assert sure.p_value is not None
    assert sure.p_value < 0.005
    assert sure.interval.low > 0
    alike = hierarchical_interval(runs, [drawn(0.75, seed) for seed in range(5, 10)], resamples=2_000)
    assert alike.p_value is not None
    assert alike.p_value > 0.1
    assert alike.interval.low < 0 < alike.interval.high
    assert hierarchical_interval(runs).p_value is None


def test_a_single_seed_has_the_p_value_of_a_comparison() -> None:
    one, other = drawn(0.7, 1), drawn(0.67, 2)
    assert hierarchical_interval([one], [other]).p_value == pytest.approx(compare(one, other).p_bootstrap, abs=0.02)


def test_the_share_reached_is_of_the_way_and_needs_one() -> None:
    low, middle, high = (
        [drawn(share, seed + 10 * number) for seed in range(4)] for number, share in enumerate((0.5, 0.65, 0.8))
    )
    reached = gap_closed(middle, low, high, resamples=2_000)
    assert reached.share == pytest.approx(0.5, abs=0.15)
    assert reached.interval is not None
    assert 0.2 < reached.interval.low < reached.share < reached.interval.high < 0.8
    assert gap_closed(high, low, high, resamples=200).share == 1.0
    assert gap_closed(middle, high, low, resamples=200) == (None, None), "a ceiling below the baseline"
    nowhere = gap_closed(middle, low, [drawn(0.5, seed) for seed in range(90, 94)], resamples=2_000)
    assert nowhere.interval is None
