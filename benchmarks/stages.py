"""What an update costs in joint training, and in each of two stages: forward and backward over the same posts.

    python benchmarks/stages.py [DATA] [--encoder minilm] [--steps 12] [--threads 2]

The first stage trains the knowledge-enhanced view alone; in the second a student, with prompts as in joint training or
of text alone, learns from what the first one recorded. All sides take the same posts in turn. The last line is one JSON
object: the medians over the batches of each side's seconds over those of joint training.
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
"""Those of configs/twitter2017.toml."""

STAGES = {
    "joint": {},
    "first stage": {"student": "knowledge", "target": "none", "task_loss": "student", "alignment": "none"},
    "second stage, prompts": {"target": "recorded", "task_loss": "student"},
    "second stage, text": {"target": "recorded", "task_loss": "student", "student": "text"},
    "text only": {"student": "text", "target": "none", "task_loss": "student", "alignment": "none"},
}


class Side:
    """One way to train: a student with its posts."""

    def __init__(self, corpus: Corpus, config: ExperimentConfig) -> None:
        self.student = build_student(corpus.train, corpus, config).train()
        self.feed = TrainingBatches(self.student, corpus.train, config)
        self._objective = Objective(self.student, config.objective)

    def seconds(self, indices: list[int]) -> float:
        """Forward and backward of one update, the reading of its posts included."""
        self.student.zero_grad()
        begun = time.perf_counter()
        step = self.feed.read(indices, epoch=0)
        self._objective(step.view, step.target, step.labelled).total.backward()
        return time.perf_counter() - begun


def main() -> None:
    """Measure, and print one line a batch."""
    options = _options()
    torch.set_num_threads(options.threads)
    corpus = Corpus.from_path(options.data) if options.data else Corpus.sample()
    with tempfile.TemporaryDirectory() as folder:
        sides = _sides(corpus, options.encoder, Path(folder))
    ratios: dict[str, list[float]] = {name: [] for name in sides}
    for number, indices in enumerate(sides["joint"].feed.batches(0)[: options.steps + 1]):
        found = {name: side.seconds(indices) for name, side in sides.items()}
        if number:  # the first warms up
            print(f"batch {number}: " + ", ".join(f"{name} {seconds:.3f} s" for name, seconds in found.items()))
            for name, seconds in found.items():
                ratios[name].append(seconds / found["joint"])
    medians = {name: round(statistics.median(values), 3) for name, values in ratios.items()}
    print(json.dumps({"over_joint": medians, "threads": options.threads}))


def _sides(corpus: Corpus, encoder: str, folder: Path) -> dict[str, Side]:
    """Every side; what the first stage is when it begins has recorded the targets of the second."""
    sides = {}
    for name, objective in STAGES.items():
        taught = {"target_runs": [str(folder)]} if objective.get("target") == "recorded" else {}
        config = _config(encoder, objective | taught)
        sides[name] = Side(corpus, config)
        if name == "first stage":
            checkpoint.save(sides[name].student, folder / "model", card="")
            write_atomic(folder / "config.toml", config.to_toml())
    return sides


def _config(encoder: str, objective: dict[str, Any]) -> ExperimentConfig:
    values = {"data": {"path": "."}, "student": {"encoder": encoder}, "objective": objective, **SIZES}
    return ExperimentConfig.of(values)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, help="a corpus directory; by default the embedded sample")
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
