"""Train two students and compare them with a paired test:  python examples/compare.py [ENCODER]

It prints the difference in micro F1 with its confidence interval and p-value. One epoch on the sample corpus shows how
to compare two methods, not which one is better.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from cotpd import Corpus, ExperimentConfig, Extractor, compare, distill, evaluate

TEXT_ONLY = {"student": "text", "target": "none", "task_loss": "student", "alignment": "none"}
COTPD = {"student": "prompt", "target": "knowledge", "task_loss": "both", "alignment": "marginals"}


def train(corpus: Corpus, encoder: str, objective: dict[str, Any], out: Path) -> Extractor:
    """Train one student. Only the objective differs between the two."""
    settings = {"data": {"path": "sample"}, "student": {"encoder": encoder}, "objective": objective}
    config = ExperimentConfig.of({**settings, "optimisation": {"epochs": 1}})
    return distill(corpus, config=config, out=out)


def main(encoder: str = "minilm") -> None:
    corpus = Corpus.sample()
    with tempfile.TemporaryDirectory() as folder:
        baseline = train(corpus, encoder, TEXT_ONLY, Path(folder) / "text")
        student = train(corpus, encoder, COTPD, Path(folder) / "cotpd")
        print(compare(evaluate(student, corpus.test), evaluate(baseline, corpus.test)))


if __name__ == "__main__":
    main(*sys.argv[1:])
