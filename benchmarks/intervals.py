"""How often intervals over seeds and posts find an effect where there is none, beside the plain hierarchical bootstrap.

Two sides of the same law are simulated and compared many times; 5 % of the comparisons should come out with p <= 0.05.
``spread``: how far seeds as such differ; ``noise``: how far they differ post by post, in log-odds. Each line is one
JSON object:

    found        share of comparisons with p <= 0.05, by `hierarchical_interval`, runs paired by seed
    found_plain  the same by the plain bootstrap, which draws posts and, with replacement, runs
    width_ratio  median width of our interval over that of the plain one

Then, with a ceiling 3.6 points above the baseline and a run that goes 37 % of the way (both seeds and posts differ):

    covered      share of the intervals of `gap_closed` that hold the true share
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
WAY = (0.15, 0.0, 0.45)
"""How much easier entities are for the run, the baseline and the ceiling."""
LAWS = {"posts alone": (0.0, 0.5), "both": (0.15, 0.3), "seeds alone": (0.4, 0.0)}


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--comparisons", type=int, default=400)
    parser.add_argument("--posts", type=int, default=700)
    parser.add_argument("--seeds", type=int, nargs="+", default=[3, 5])
    arguments = parser.parse_args()
    for num_seeds in arguments.seeds:
        for law, (spread, noise) in LAWS.items():
            generator = np.random.default_rng(0)
            ended = [
                compared(simulated(num_seeds, arguments.posts, spread, noise, generator), generator)
                for _ in range(arguments.comparisons)
            ]
            p_values, plain_p_values, widths = (np.array(values) for values in zip(*ended, strict=True))
            line = {"seeds": num_seeds, "what differs": law, "found": round(float((p_values <= 0.05).mean()), 3)}
            line |= {"found_plain": round(float((plain_p_values <= 0.05).mean()), 3)}
            print(json.dumps(line | {"width_ratio": round(float(np.median(widths)), 2)}), flush=True)
        print(json.dumps({"seeds": num_seeds} | covered(num_seeds, arguments.posts, arguments.comparisons)), flush=True)


def covered(num_seeds: int, num_posts: int, num_comparisons: int) -> dict[str, float]:
    """How often the interval of the share reached holds the true share, which a thousand seeds tell."""
    generator, law = np.random.default_rng(0), (0.08, 0.3)
    huge = simulated(1_000, 2_000, *law, generator, WAY)
    reached, start, most = (float(np.mean([run.micro_f1 for run in side])) for side in huge)
    share, found = (reached - start) / (most - start), []
    for _ in range(num_comparisons):
        sides = simulated(num_seeds, num_posts, *law, generator, WAY)
        seed = int(generator.integers(2**32))
        found.append(gap_closed(*sides, paired=True, resamples=RESAMPLES, seed=seed).interval)
    given = [interval for interval in found if interval]
    hits = sum(interval.low <= share <= interval.high for interval in given)
    return {"covered": round(hits / len(given), 3), "without": round(1 - len(given) / len(found), 3)}


def simulated(
    num_seeds: int,
    num_posts: int,
    spread: float,
    noise: float,
    generator: np.random.Generator,
    shifts: Sequence[float] = (0.0, 0.0),
) -> list[list[Scores]]:
    """Runs of each side on the same posts, whose entities are more or less easy to find, by post and by side."""
    gold, ease = generator.poisson(1.6, size=num_posts), generator.normal(1.5, 1.2, size=num_posts)
    ids = tuple(map(str, range(num_posts)))

    def run(shift: float) -> Scores:
        odds = ease + shift + generator.normal(0, spread) + generator.normal(0, noise, size=num_posts)
        correct = generator.binomial(gold, 1 / (1 + np.exp(-odds)))[:, None]
        predicted = correct + generator.binomial(1, 0.2, size=(num_posts, 1))
        return Scores("entities", "exact", "conlleval", ids, ("PER",), correct, predicted, gold[:, None])

    return [[run(shift) for _ in range(num_seeds)] for shift in shifts]


def compared(sides: list[list[Scores]], generator: np.random.Generator) -> tuple[float, float, float]:
    """p of ours, p of the plain bootstrap, and the ratio of the widths."""
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
