"""What the method adds to its two encoder passes: a two-view step over the passes alone, on the same padded inputs.

    python benchmarks/training.py [DATA] [--encoder minilm] [--steps 12] [--threads 2]

Forward and backward, the optimiser left out on both sides. Both sides take the same batches in turn; the last line is
one JSON object, whose ``ratio`` is the median over the batches.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from cotpd import Corpus, ExperimentConfig
from cotpd.distillation.objective import Objective
from cotpd.distillation.recipe import build_student
from cotpd.distillation.training_batches import TrainingBatches, Step
from cotpd.student.student import Student
from cotpd.views.batch import Batch


def main() -> None:
    """Measure, and print one line a batch."""
    options = _options()
    torch.set_num_threads(options.threads)
    corpus = Corpus.from_path(options.data) if options.data else Corpus.sample()
    config = ExperimentConfig.of({"data": {"path": "."}, "student": {"encoder": options.encoder}})
    student = build_student(corpus.train, corpus, config).train()
    objective, feed = Objective(student, config.objective), TrainingBatches(student, corpus.train, config)
    steps = [feed.read(indices, epoch=0) for indices in feed.batches(0)[: options.steps + 1]]
    ratios = []
    for number, step in enumerate(steps):
        whole = _seconds(student, lambda step=step: objective(step.view, step.target).total)
        passes = _seconds(student, lambda step=step: _passes(student, step))
        if number:  # the first warms up
            ratios.append(whole / passes)
            print(f"batch {number}: step {whole:.3f} s, its two encoder passes {passes:.3f} s")
    print(
        json.dumps({"ratio": round(statistics.median(ratios), 4), "batches": len(ratios), "threads": options.threads})
    )


def _seconds(student: Student, loss: Callable[[], Tensor]) -> float:
    student.zero_grad()
    begun = time.perf_counter()
    loss().backward()
    return time.perf_counter() - begun


def _passes(student: Student, step: Step) -> Tensor:
    """The encoder over both views, padded as in the step; the prompt's places are filled with padding pieces."""
    assert isinstance(step.target, Batch)
    assert student.generator is not None
    room = len(student.generator.queries)
    total = torch.zeros(())
    for batch, longer in ((step.view, room), (step.target, 0)):
        ids, mask = torch.from_numpy(batch.ids), torch.from_numpy(batch.mask)
        ids = torch.nn.functional.pad(ids, (0, longer), value=student.reader.pieces.pad)
        mask = torch.nn.functional.pad(mask, (0, longer), value=True)
        total = total + student.encoder(student.encoder.embed(ids), mask).mean()
    return total


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, help="a corpus directory; by default the embedded sample")
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
