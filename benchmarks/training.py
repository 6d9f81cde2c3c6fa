"""Compare a two-view training step with its two encoder passes, on the same padded inputs.

    python benchmarks/training.py [DATA] [--encoder minilm] [--steps 12] [--threads 2]

Both sides run forward and backward, without the optimiser, on the same batches in turn. The last line is one JSON
object. Its ``ratio`` is the median over the batches of the time of the step divided by that of the passes.
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
from cotpd.distillation.training_batches import Step, TrainingBatches
from cotpd.student.student import Student
from cotpd.views.batch import Batch


def main() -> None:
    """Run the measurements, and print one line per batch."""
    options = _options()
    torch.set_num_threads(options.threads)
    corpus = Corpus.from_path(options.data) if options.data else Corpus.sample()
    config = ExperimentConfig.of({"data": {"path": "."}, "student": {"encoder": options.encoder}})
    student = build_student(corpus.train, corpus, config).train()
    objective, feed = Objective(student, config.objective), TrainingBatches(student, corpus.train, config)
    steps = [feed.read(indices, epoch=0) for indices in feed.batches(0)[: options.steps + 1]]
    ratios = []
    for number, step in enumerate(steps):
        total = _seconds(student, lambda step=step: objective(step.view, step.target).total)
        passes = _seconds(student, lambda step=step: _passes(student, step))
        if number:  # the first batch warms up
            ratios.append(total / passes)
            print(f"batch {number}: step {total:.3f} s, its two encoder passes {passes:.3f} s")
    print(
        json.dumps({"ratio": round(statistics.median(ratios), 4), "batches": len(ratios), "threads": options.threads})
    )


def _seconds(student: Student, loss: Callable[[], Tensor]) -> float:
    student.zero_grad()
    started = time.perf_counter()
    loss().backward()
    return time.perf_counter() - started


def _passes(student: Student, step: Step) -> Tensor:
    """Encode both views, padded as in the step, with padding pieces at the positions of the prompt."""
    assert isinstance(step.target, Batch)
    assert student.generator is not None
    prompt_length = len(student.generator.queries)
    total = torch.zeros(())
    for batch, padding in ((step.view, prompt_length), (step.target, 0)):
        ids, mask = torch.from_numpy(batch.ids), torch.from_numpy(batch.mask)
        ids = torch.nn.functional.pad(ids, (0, padding), value=student.reader.pieces.pad)
        mask = torch.nn.functional.pad(mask, (0, padding), value=True)
        total = total + student.encoder(student.encoder.embed(ids), mask).mean()
    return total


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, help="corpus directory; by default the sample corpus")
    parser.add_argument("--encoder", default="minilm", help="(default: %(default)s)")
    parser.add_argument("--steps", type=int, default=12, help="measured batches (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch (default: %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
