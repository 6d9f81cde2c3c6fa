"""Does distillation help on the sample? Two short runs and a paired test:  python examples/compare.py [ENCODER]"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from cotpd import Corpus, ExperimentConfig, Extractor, compare, distill, evaluate

TEXT_ONLY = {"student": "text", "target": "none", "task_loss": "student", "alignment": "none"}
COTPD = {"student": "prompt", "target": "knowledge", "task_loss": "both", "alignment": "marginals"}


def train(corpus: Corpus, encoder: str, objective: dict[str, Any], out: Path) -> Extractor:
    """The same training for both, but for the objective."""
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
