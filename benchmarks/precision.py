"""Compare the entities that a run finds in bfloat16 with those in float32, on the same posts of a corpus.

    python benchmarks/precision.py runs/twitter2017-seed1 ../shared/data/twitter2017

The last line is one JSON object: the F1 and the seconds of both precisions, the posts and entities that differ, and the
differences of the scores of the entities that both find.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import torch

from cotpd import Corpus, Extractor, Prediction, evaluate


def main() -> None:
    """Run the measurement and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", default="dev")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    examples = Corpus.from_path(arguments.data).posts(arguments.split)
    extractor = Extractor.from_pretrained(arguments.run)
    found, seconds = {}, {}
    for precision in ("float32", "bfloat16"):
        extractor.precision = precision
        started = time.perf_counter()
        found[precision] = list(extractor.predict(examples))
        seconds[precision] = round(time.perf_counter() - started, 1)
    f1 = {name: round(100 * evaluate(each, examples, resamples=0).micro_f1, 2) for name, each in found.items()}
    print(json.dumps({"f1": f1, "seconds": seconds} | differences(*found.values())))


def differences(first: list[Prediction], second: list[Prediction]) -> dict[str, object]:
    """Return how the predictions differ."""
    one, two = (
        {
            (number, each.span, each.label): each.score or 0.0
            for number, post in enumerate(posts)
            for each in post.entities
        }
        for posts in (first, second)
    )
    gaps = sorted(abs(one[key] - two[key]) for key in one.keys() & two.keys())
    return {
        "posts": len(first),
        "posts_that_differ": len({number for number, *_ in one.keys() ^ two.keys()}),
        "entities": [len(one), len(two)],
        "entities_of_one_only": [len(one.keys() - two.keys()), len(two.keys() - one.keys())],
        "score_gap": {"median": round(statistics.median(gaps), 5), "largest": round(gaps[-1], 5)},
    }


if __name__ == "__main__":
    main()
