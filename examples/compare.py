"""Train two students and compare them with a paired test:  python examples/compare.py [ENCODER]

It prints the difference in micro F1 with its confidence interval and p-values. After one epoch this says only which
student begins to learn faster, even where the p-value is small: after ten epochs (`cotpd demo`), the difference is
gone. For a real comparison, train on your corpus until both stop improving, with seeds (docs/guides/studies.md).
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
