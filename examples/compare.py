"""Train two students and compare them with a paired test:  python examples/compare.py [ENCODER]

It prints the difference in micro F1 with its confidence interval and p-values. One epoch on 180 posts teaches neither
student anything, so both scores are near zero and the difference means nothing. The program shows how to compare. For a
real comparison, train for ten epochs or more on your corpus, with several seeds (docs/guides/studies.md).
"""

import sys
import tempfile
from pathlib import Path

from cotpd import Corpus, compare, distill, evaluate


def main(encoder: str = "minilm") -> None:
    corpus = Corpus.sample()
    with tempfile.TemporaryDirectory() as folder:
        baseline = distill(corpus, method="text-only", encoder=encoder, epochs=1, out=Path(folder) / "text-only")
        student = distill(corpus, method="cotpd", encoder=encoder, epochs=1, out=Path(folder) / "cotpd")
        print(compare(evaluate(student, corpus.test), evaluate(baseline, corpus.test)))


if __name__ == "__main__":
    main(*sys.argv[1:])
