"""Tables and JSON of scores, and the bootstrap over posts behind their intervals."""

import json

import numpy as np
import pytest

from cotpd.evaluation.scores import Scores
from cotpd.evaluation.statistics.resampling import bootstrap_sums, f1, percentile_interval, randomised_sums

Counts = list[list[int]]


def scores_of(counts: Counts, **settings: int) -> Scores:
    """Return scores of one type from rows of correct, predicted and gold counts."""
    correct, predicted, gold = (np.array([[row[side]] for row in counts]) for side in range(3))
    ids = tuple(f"post {number}" for number in range(len(counts)))
    return Scores("entities", "exact", "conlleval", ids, ("PER",), correct, predicted, gold, **settings)


def test_table_shows_mode_percentages_and_resampling() -> None:
    text = str(scores_of([[1, 1, 2], [1, 2, 1]], seed=7))
    assert text.startswith(
        "entities, rule exact, mode conlleval (default: entities that begin with an I- tag count), 2 posts"
    )
    assert "PER 66.67 66.67 66.67 3 3 2" in [" ".join(line.split()) for line in text.splitlines()]
    assert "10,000 resamples, seed 7" in text


def test_dict_is_json_with_rates_counts_and_interval() -> None:
    values = json.loads(json.dumps(scores_of([[1, 1, 2], [1, 2, 1]], resamples=100).to_dict()))
    assert values["micro"] == pytest.approx(
        {"correct": 2, "predicted": 3, "support": 3, "precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3}
    )
    assert values["types"]["PER"] == values["micro"]
    assert (values["mode"], values["num_posts"], values["interval"]["resamples"]) == ("conlleval", 2, 100)


def test_without_resamples_there_is_no_interval() -> None:
    scores = scores_of([[1, 1, 1]], resamples=0)
    assert scores.interval is scores.to_dict()["interval"] is None
    assert str(scores).endswith("micro F1 100.00")


def test_interval_depends_on_the_seed_and_not_on_the_order_of_posts() -> None:
    counts = [[number % 2, 1, 1 + number % 3] for number in range(40)]
    intervals = [
        scores_of(rows, resamples=50, seed=seed).interval for rows in (counts, counts[::-1]) for seed in (1, 2)
    ]
    assert intervals[0] == intervals[2] != intervals[1] == intervals[3]


def test_multinomial_bootstrap_has_the_distribution_of_the_plain_bootstrap() -> None:
    counts = np.random.default_rng(0).integers(0, 3, size=(60, 3))
    fast = bootstrap_sums(counts, 20_000, np.random.default_rng(1))
    plain = counts[np.random.default_rng(2).integers(0, 60, size=(20_000, 60))].sum(axis=1)
    for share in (0.025, 0.25, 0.5, 0.75, 0.975):
        assert np.quantile(fast, share, axis=0) == pytest.approx(np.quantile(plain, share, axis=0), abs=1.01)
    assert np.cov(fast.T) == pytest.approx(np.cov(plain.T), rel=0.06, abs=1.5)


def test_randomisation_preserves_the_sum_of_both_systems() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.integers(0, 4, size=(2, 30, 3))
    one, other = randomised_sums(first, second, 2_500, generator)
    assert one.shape == (2_500, 3)
    assert np.all(one + other == first.sum(0) + second.sum(0))
    assert np.var(one, axis=0) == pytest.approx(((second - first) ** 2).sum(0) / 4, rel=0.12)


def test_intervals_cover_the_true_f1_in_about_95_percent() -> None:
    generator = np.random.default_rng(3)
    true_f1 = 2 * 0.7 * 1.2 / (1.2 + 1.2 * (0.7 + 0.25))
    covered = [_simulate(generator, seed).interval for seed in range(300)]
    share = np.mean([low <= true_f1 <= high for low, high in filter(None, covered)])
    assert 0.92 <= share <= 0.98


def _simulate(generator: np.random.Generator, seed: int) -> Scores:
    """Simulate 150 posts with a mean of 1.2 gold entities, a recall of 0.7 and 0.3 false entities per post."""
    gold = generator.poisson(1.2, size=150)
    correct = generator.binomial(gold, 0.7)
    counts = np.stack([correct, correct + generator.poisson(0.3, size=150), gold], axis=1)
    return scores_of(counts.tolist(), resamples=200, seed=seed)


def test_f1_and_percentile_interval_match_known_values() -> None:
    assert f1(np.array([1, 0, 0]), np.array([1, 2, 0]), np.array([3, 2, 0])).tolist() == [0.5, 0.0, 0.0]
    assert percentile_interval(np.arange(1001) / 1000.0) == pytest.approx((0.025, 0.975))
