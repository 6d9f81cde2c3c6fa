"""Compare the cost of an update in joint training with that in each of two stages.

    python benchmarks/stages.py [DATA] [--encoder minilm] [--steps 12] [--threads 2]

The first stage trains only the knowledge-enhanced view. In the second stage a student, with prompts or with text only,
learns from the distributions that the first stage recorded. Every variant runs forward and backward on the same
batches, in turn. The last line is one JSON object: for each variant, the median over the batches of its time divided by
that of joint training.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from cotpd import Corpus, ExperimentConfig
from cotpd.core.files import write_atomic
from cotpd.distillation.objective import Objective
from cotpd.distillation.recipe import build_student
from cotpd.distillation.training_batches import TrainingBatches
from cotpd.student import checkpoint

SIZES = {"views": {"knowledge_pieces": 96}, "optimisation": {"batch_size": 32}}
"""The values of configs/twitter2017.toml."""

STAGES = {
    "joint": {},
    "first stage": {"student": "knowledge", "target": "none", "task_loss": "student", "alignment": "none"},
    "second stage, prompts": {"target": "recorded", "task_loss": "student"},
    "second stage, text": {"target": "recorded", "task_loss": "student", "student": "text"},
    "text only": {"student": "text", "target": "none", "task_loss": "student", "alignment": "none"},
}


class Variant:
    """One way to train: a student with its training batches."""

    def __init__(self, corpus: Corpus, config: ExperimentConfig) -> None:
        self.student = build_student(corpus.train, corpus, config).train()
        self.feed = TrainingBatches(self.student, corpus.train, config)
        self._objective = Objective(self.student, config.objective)

    def seconds(self, indices: list[int]) -> float:
        """Return the time of one update: preparing the batch, forward and backward."""
        self.student.zero_grad()
        started = time.perf_counter()
        step = self.feed.read(indices, epoch=0)
        self._objective(step.view, step.target, step.labelled).total.backward()
        return time.perf_counter() - started


def main() -> None:
    """Run the measurements, and print one line per batch."""
    options = _options()
    torch.set_num_threads(options.threads)
    corpus = Corpus.from_path(options.data) if options.data else Corpus.sample()
    with tempfile.TemporaryDirectory() as folder:
        variants = _variants(corpus, options.encoder, Path(folder))
    ratios: dict[str, list[float]] = {name: [] for name in variants}
    for number, indices in enumerate(variants["joint"].feed.batches(0)[: options.steps + 1]):
        seconds = {name: variant.seconds(indices) for name, variant in variants.items()}
        if number:  # the first batch warms up
            print(f"batch {number}: " + ", ".join(f"{name} {value:.3f} s" for name, value in seconds.items()))
            for name in variants:
                ratios[name].append(seconds[name] / seconds["joint"])
    medians = {name: round(statistics.median(values), 3) for name, values in ratios.items()}
    print(json.dumps({"over_joint": medians, "threads": options.threads}))


def _variants(corpus: Corpus, encoder: str, folder: Path) -> dict[str, Variant]:
    """Return every variant. The untrained student of the first stage gives the distributions for the second."""
    variants = {}
    for name, objective in STAGES.items():
        recorded = {"target_runs": [str(folder)]} if objective.get("target") == "recorded" else {}
        config = _config(encoder, objective | recorded)
        variants[name] = Variant(corpus, config)
        if name == "first stage":
            checkpoint.save(variants[name].student, folder / "model", card="")
            write_atomic(folder / "config.toml", config.to_toml())
    return variants


def _config(encoder: str, objective: dict[str, Any]) -> ExperimentConfig:
    values = {"data": {"path": "."}, "student": {"encoder": encoder}, "objective": objective, **SIZES}
    return ExperimentConfig.of(values)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, help="corpus directory; by default the sample corpus")
    parser.add_argument("--encoder", default="minilm", help="(default: %(default)s)")
    parser.add_argument("--steps", type=int, default=12, help="measured batches (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch (default: %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
