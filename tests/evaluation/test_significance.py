"""Tests find the differences that are there and no others; intervals over seeds are as wide as seeds and posts ask."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cotpd.core.errors import DataError, UsageError
from cotpd.evaluation.scores import Scores
from cotpd.evaluation.significance import compare, hierarchical_interval, holm, mean_and_deviation, share_reached

NUM_POSTS = 200
GOLD = np.random.default_rng(0).poisson(1.3, size=NUM_POSTS)


def drawn(share: float, seed: int) -> Scores:
    """A predictor that finds each gold entity with this probability, and adds a false one to every fourth post."""
    generator = np.random.default_rng(seed)
    correct = generator.binomial(GOLD, share)[:, None]
    predicted = correct + generator.binomial(1, 0.25, size=(NUM_POSTS, 1))
    ids = tuple(str(number) for number in range(NUM_POSTS))
    return Scores("entities", "exact", "conlleval", ids, ("PER",), correct, predicted, GOLD[:, None])


def test_a_predictor_does_not_differ_from_itself() -> None:
    scores = drawn(0.7, 1)
    comparison = compare(scores, scores)
    assert (comparison.difference, comparison.interval, comparison.num_differing) == (0.0, (0.0, 0.0), 0)
    assert comparison.p_bootstrap == comparison.p_randomisation == 1.0


def test_a_clear_difference_is_found_and_its_interval_holds_it() -> None:
    better, worse = drawn(0.9, 1), drawn(0.6, 2)
    comparison = compare(better, worse)
    assert comparison.difference == better.micro_f1 - worse.micro_f1 > 0.1
    assert comparison.interval.low > 0.05
    assert comparison.p_bootstrap == comparison.p_randomisation == 1 / 10_001, "none of the resamples is as extreme"
    mirrored = compare(worse, better)
    assert mirrored.difference == -comparison.difference
    assert mirrored.interval == pytest.approx((-comparison.interval.high, -comparison.interval.low), abs=0.005)


def test_p_values_of_equal_predictors_are_small_as_rarely_as_they_say() -> None:
    comparisons = [compare(drawn(0.7, 2 * n), drawn(0.7, 2 * n + 1), resamples=300) for n in range(250)]
    for p_values in ([c.p_bootstrap for c in comparisons], [c.p_randomisation for c in comparisons]):
        assert 0.05 <= np.mean(np.array(p_values) <= 0.1) <= 0.16
        assert 0.4 <= np.mean(p_values) <= 0.6


def test_randomisation_tends_to_the_exact_permutation_test() -> None:
    """Three posts differ, all in favour of the first: of eight ways to swap, two are as extreme."""
    gold = np.ones((10, 1), dtype=np.int64)
    one, other = gold.copy(), gold.copy()
    other[:3] = 0
    ids = tuple("abcdefghij")
    first, second = (Scores("entities", "exact", "strict", ids, ("PER",), c, gold, gold) for c in (one, other))
    assert compare(first, second).p_randomisation == pytest.approx(2 / 8, abs=0.015)


def test_a_comparison_pairs_posts_by_id_not_by_place() -> None:
    first, second = drawn(0.8, 1), drawn(0.7, 2)
    order = np.random.default_rng(5).permutation(NUM_POSTS)
    shuffled = replace(
        second,
        ids=tuple(second.ids[row] for row in order),
        correct=second.correct[order],
        predicted=second.predicted[order],
        gold=second.gold[order],
    )
    assert compare(first, shuffled) == compare(first, second)


def test_what_cannot_be_paired_is_refused() -> None:
    scores = drawn(0.7, 1)
    with pytest.raises(DataError, match="199: only one of the two runs"):
        compare(scores, replace(scores, ids=(*scores.ids[:-1], "x")))
    with pytest.raises(DataError, match="different gold"):
        compare(scores, replace(scores, gold=scores.gold + 1))
    with pytest.raises(DataError, match="scored differently"):
        compare(scores, replace(scores, mode="strict"))
    with pytest.raises(UsageError, match="resamples must be 1 or more"):
        compare(scores, scores, resamples=0)


def test_a_comparison_says_in_words_and_json_what_it_found() -> None:
    comparison = compare(drawn(0.9, 1), drawn(0.6, 2), resamples=99, seed=4)
    assert "p = 0.0100 (paired bootstrap)" in str(comparison)
    assert f"difference {100 * comparison.difference:+.2f}" in str(comparison)
    values = comparison.to_dict()
    assert (values["difference"], values["seed"], values["interval"]["level"]) == (comparison.difference, 4, 0.95)


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


def test_holm_known_values() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([0.6, 0.7]) == (1.0, 1.0)
    assert holm([]) == ()
    for wrong in (float("nan"), -0.1, 1.1):
        with pytest.raises(UsageError, match="between 0 and 1"):
            holm([0.5, wrong])


@settings(deadline=None, derandomize=True)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_the_order_and_lies_between_raw_and_bonferroni(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(raw <= p <= min(1.0, len(p_values) * raw) for raw, p in zip(p_values, adjusted, strict=True))
    assert all(one <= other for one, other in pairwise(p for _, p in sorted(zip(p_values, adjusted, strict=True))))


def test_mean_and_deviation() -> None:
    found = mean_and_deviation([0.80, 0.82, 0.84])
    assert (found.mean, found.deviation) == (pytest.approx(0.82), pytest.approx(0.02))
    assert str(found) == "82.00 ± 2.00 (n = 3)"
    assert str(mean_and_deviation([0.8])) == "80.00 (n = 1)"
    with pytest.raises(UsageError, match="one value or more"):
        mean_and_deviation([])


def test_the_lead_of_seeds_has_a_p_value_that_its_interval_agrees_with() -> None:
    runs, baseline = [drawn(0.75, seed) for seed in range(5)], [drawn(0.6, seed) for seed in range(5, 10)]
    sure = hierarchical_interval(runs, baseline, resamples=2_000)
    assert sure.p_value == 1 / 2_001
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
    reached = share_reached(middle, low, high, resamples=2_000)
    assert reached.share == pytest.approx(0.5, abs=0.15)
    assert reached.interval is not None
    assert 0.2 < reached.interval.low < reached.share < reached.interval.high < 0.8
    assert share_reached(high, low, high, resamples=200).share == 1.0
    assert share_reached(middle, high, low, resamples=200) == (None, None), "a ceiling below the baseline"
    nowhere = share_reached(middle, low, [drawn(0.5, seed) for seed in range(90, 94)], resamples=2_000)
    assert nowhere.interval is None
