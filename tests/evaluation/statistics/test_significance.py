"""Significance tests detect true differences and have the nominal error rate."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cotpd.core.errors import DataError, UsageError
from cotpd.evaluation.scores import Scores
from cotpd.evaluation.statistics.significance import compare, holm, mean_and_deviation

NUM_POSTS = 200
GOLD = np.random.default_rng(0).poisson(1.3, size=NUM_POSTS)


def drawn(share: float, seed: int) -> Scores:
    """Simulate a predictor that finds each gold entity with this probability and adds a false one to 25 % of posts."""
    generator = np.random.default_rng(seed)
    correct = generator.binomial(GOLD, share)[:, None]
    predicted = correct + generator.binomial(1, 0.25, size=(NUM_POSTS, 1))
    ids = tuple(str(number) for number in range(NUM_POSTS))
    return Scores("entities", "exact", "conlleval", ids, ("PER",), correct, predicted, GOLD[:, None])


def test_predictor_does_not_differ_from_itself() -> None:
    scores = drawn(0.7, 1)
    comparison = compare(scores, scores)
    assert (comparison.difference, comparison.interval, comparison.num_differing) == (0.0, (0.0, 0.0), 0)
    assert comparison.p_bootstrap == comparison.p_randomisation == 1.0


def test_clear_difference_is_significant_and_antisymmetric() -> None:
    better, worse = drawn(0.9, 1), drawn(0.6, 2)
    comparison = compare(better, worse)
    assert comparison.difference == better.micro_f1 - worse.micro_f1 > 0.1
    assert comparison.interval.low > 0.05
    assert comparison.p_bootstrap == comparison.p_randomisation == 1 / 10_001, "no resample is as extreme"
    mirrored = compare(worse, better)
    assert mirrored.difference == -comparison.difference
    assert mirrored.interval == pytest.approx((-comparison.interval.high, -comparison.interval.low), abs=0.005)


def test_p_values_are_uniform_without_a_difference() -> None:
    comparisons = [compare(drawn(0.7, 2 * n), drawn(0.7, 2 * n + 1), resamples=99) for n in range(250)]
    for p_values in ([c.p_bootstrap for c in comparisons], [c.p_randomisation for c in comparisons]):
        assert 0.05 <= np.mean(np.array(p_values) <= 0.1) <= 0.16
        assert 0.4 <= np.mean(p_values) <= 0.6


def test_randomisation_approximates_the_exact_permutation_test() -> None:
    """Three posts differ, all in favour of the first predictor: two of the eight permutations are as extreme."""
    gold = np.ones((10, 1), dtype=np.int64)
    one, other = gold.copy(), gold.copy()
    other[:3] = 0
    ids = tuple("abcdefghij")
    first, second = (Scores("entities", "exact", "strict", ids, ("PER",), c, gold, gold) for c in (one, other))
    assert compare(first, second).p_randomisation == pytest.approx(2 / 8, abs=0.015)


def test_comparison_pairs_posts_by_id_and_not_by_position() -> None:
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


def test_comparison_rejects_different_posts_gold_or_mode() -> None:
    scores = drawn(0.7, 1)
    with pytest.raises(DataError, match="199: scored in only one of the two runs"):
        compare(scores, replace(scores, ids=(*scores.ids[:-1], "x")))
    with pytest.raises(DataError, match="different gold labels"):
        compare(scores, replace(scores, gold=scores.gold + 1))
    with pytest.raises(DataError, match="different gold labels"):
        compare(scores, replace(scores, types=("ORG",)))
    with pytest.raises(DataError, match="cannot compare runs that were scored differently"):
        compare(scores, replace(scores, mode="strict"))
    with pytest.raises(UsageError, match="resamples must be 1 or more, got 0"):
        compare(scores, scores, resamples=0)


def test_type_predicted_by_only_one_run_does_not_count_as_different_gold() -> None:
    scores = drawn(0.7, 1)
    none = np.zeros_like(scores.gold)
    counts = {name: np.hstack([none, getattr(scores, name)]) for name in ("correct", "predicted", "gold")}
    assert compare(scores, replace(scores, types=("ORG", "PER"), **counts)).difference == 0.0


def test_comparison_prints_and_serialises_its_results() -> None:
    comparison = compare(drawn(0.9, 1), drawn(0.6, 2), resamples=99, seed=4)
    assert "p = 0.0100 (paired bootstrap)" in str(comparison)
    assert f"difference {100 * comparison.difference:+.2f}" in str(comparison)
    values = comparison.to_dict()
    assert (values["difference"], values["seed"], values["interval"]["level"]) == (comparison.difference, 4, 0.95)


def test_holm_matches_known_values_and_rejects_invalid_ones() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([0.6, 0.7]) == (1.0, 1.0)
    assert holm([]) == ()
    for invalid in (float("nan"), -0.1, 1.1):
        with pytest.raises(UsageError, match="between 0 and 1"):
            holm([0.5, invalid])


@settings(deadline=None, derandomize=True, max_examples=50)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_preserves_order_and_lies_between_raw_and_bonferroni(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(raw <= p <= min(1.0, len(p_values) * raw) for raw, p in zip(p_values, adjusted, strict=True))
    assert all(one <= other for one, other in pairwise(p for _, p in sorted(zip(p_values, adjusted, strict=True))))


def test_mean_and_sample_standard_deviation() -> None:
    result = mean_and_deviation([0.80, 0.82, 0.84])
    assert (result.mean, result.deviation) == (pytest.approx(0.82), pytest.approx(0.02))
    assert str(result) == "82.00 ± 2.00 (n = 3)"
    assert str(mean_and_deviation([0.8])) == "80.00 (n = 1)"
    with pytest.raises(UsageError, match="at least one value"):
        mean_and_deviation([])
