"""Simulate the false positive rate and the coverage of the confidence intervals over seeds and posts.

First, two methods without any difference are compared many times. A correct test finds p <= 0.05 in 5 % of the
comparisons. Two parameters describe the random variation, in log-odds: ``spread`` between seeds, and ``noise`` between
the posts of one seed. Each line is one JSON object:

    found        share of comparisons with p <= 0.05 by `hierarchical_interval`, with runs paired by seed
    found_plain  the same by a plain hierarchical bootstrap, which resamples posts and runs
    width_ratio  median width of our interval, divided by that of the plain bootstrap

Then a ceiling is 3.6 points above the baseline, and a run closes 37 % of the gap. Seeds and posts both vary:

    covered      share of the intervals of `gap_closed` that contain the true share
    without      share of the comparisons that have no such interval

    python benchmarks/intervals.py
    python benchmarks/intervals.py --comparisons 2000 --posts 300
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

import numpy as np

from cotpd.evaluation.scores import Scores
from cotpd.evaluation.statistics.over_seeds import gap_closed, hierarchical_interval
from cotpd.evaluation.statistics.resampling import bootstrap_sums, f1, percentile_interval
from cotpd.evaluation.statistics.significance import two_sided_p_value

RESAMPLES = 1_000
SHIFTS = (0.15, 0.0, 0.45)
"""Gain of the run, the baseline and the ceiling, in log-odds of finding an entity."""
SCENARIOS = {"only posts": (0.0, 0.5), "both": (0.15, 0.3), "only seeds": (0.4, 0.0)}


def main() -> None:
    """Run the simulations and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--comparisons", type=int, default=400, help="per line (default: %(default)s)")
    parser.add_argument("--posts", type=int, default=700, help="posts per run (default: %(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[3, 5], help="runs per method (default: 3 5)")
    arguments = parser.parse_args()
    for num_seeds in arguments.seeds:
        for scenario, (spread, noise) in SCENARIOS.items():
            generator = np.random.default_rng(0)
            comparisons = [
                compare(simulate(num_seeds, arguments.posts, spread, noise, generator), generator)
                for _ in range(arguments.comparisons)
            ]
            p_values, plain_p_values, widths = (np.array(values) for values in zip(*comparisons, strict=True))
            line = {"seeds": num_seeds, "what varies": scenario, "found": round(float((p_values <= 0.05).mean()), 3)}
            line |= {"found_plain": round(float((plain_p_values <= 0.05).mean()), 3)}
            print(json.dumps(line | {"width_ratio": round(float(np.median(widths)), 2)}), flush=True)
        print(
            json.dumps({"seeds": num_seeds} | coverage(num_seeds, arguments.posts, arguments.comparisons)), flush=True
        )


def coverage(num_seeds: int, num_posts: int, num_comparisons: int) -> dict[str, float]:
    """Measure how often the interval of the share reached contains the true share, estimated from 1,000 seeds."""
    generator, variation = np.random.default_rng(0), (0.08, 0.3)
    huge = simulate(1_000, 2_000, *variation, generator, SHIFTS)
    reached, start, most = (float(np.mean([run.micro_f1 for run in side])) for side in huge)
    share, intervals = (reached - start) / (most - start), []
    for _ in range(num_comparisons):
        sides = simulate(num_seeds, num_posts, *variation, generator, SHIFTS)
        seed = int(generator.integers(2**32))
        intervals.append(gap_closed(*sides, paired=True, resamples=RESAMPLES, seed=seed).interval)
    given = [interval for interval in intervals if interval]
    hits = sum(interval.low <= share <= interval.high for interval in given)
    return {"covered": round(hits / len(given), 3), "without": round(1 - len(given) / len(intervals), 3)}


def simulate(
    num_seeds: int,
    num_posts: int,
    spread: float,
    noise: float,
    generator: np.random.Generator,
    shifts: Sequence[float] = (0.0, 0.0),
) -> list[list[Scores]]:
    """Simulate runs of each method on the same posts. Posts differ in how easy their entities are to find."""
    gold, ease = generator.poisson(1.6, size=num_posts), generator.normal(1.5, 1.2, size=num_posts)
    ids = tuple(map(str, range(num_posts)))

    def run(shift: float) -> Scores:
        odds = ease + shift + generator.normal(0, spread) + generator.normal(0, noise, size=num_posts)
        correct = generator.binomial(gold, 1 / (1 + np.exp(-odds)))[:, None]
        predicted = correct + generator.binomial(1, 0.2, size=(num_posts, 1))
        return Scores("entities", "exact", "conlleval", ids, ("PER",), correct, predicted, gold[:, None])

    return [[run(shift) for _ in range(num_seeds)] for shift in shifts]


def compare(sides: list[list[Scores]], generator: np.random.Generator) -> tuple[float, float, float]:
    """Return our p-value, that of the plain bootstrap, and the ratio of the interval widths."""
    ours = hierarchical_interval(*sides, paired=True, resamples=RESAMPLES, seed=int(generator.integers(2**32)))
    num_seeds = len(sides[0])
    counts = np.hstack([run.per_post for side in sides for run in side])
    sums = bootstrap_sums(counts, RESAMPLES, generator).reshape(RESAMPLES, 2 * num_seeds, 3)
    means = [
        (generator.multinomial(num_seeds, [1 / num_seeds] * num_seeds, size=RESAMPLES) * drawn).sum(1) / num_seeds
        for drawn in np.split(f1(*np.moveaxis(sums, 2, 0)), 2, axis=1)
    ]
    leads = means[0] - means[1]
    low, high = percentile_interval(leads)
    assert ours.p_value is not None
    width = (ours.interval.high - ours.interval.low) / (high - low)
    return ours.p_value, two_sided_p_value(leads - ours.mean, ours.mean), width


if __name__ == "__main__":
    main()
