"""The training loop, which can resume after any update, with bitwise equal results on a CPU."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace

import torch
from accelerate import Accelerator
from safetensors.torch import load_file
from torch import Tensor

from cotpd.core.config import ExperimentConfig
from cotpd.core.errors import TrainingError
from cotpd.core.files import verify_directory
from cotpd.core.records import Example
from cotpd.distillation.distributed import share_of_process
from cotpd.distillation.objective import Losses, Objective
from cotpd.distillation.optimisation import (
    MAX_GRADIENT_NORM,
    build_optimizer,
    load_optimizer_state,
    optimizer_state,
    set_learning_rates,
)
from cotpd.distillation.progress import Listener, Progress
from cotpd.distillation.runs.run_directory import RunDirectory, State, state_json
from cotpd.distillation.training_batches import Step, TrainingBatches
from cotpd.evaluation import evaluate
from cotpd.evaluation.matching import DEFAULT_MODE
from cotpd.evaluation.tasks import SCORING
from cotpd.inference.decoding import decode, in_precision
from cotpd.student import checkpoint
from cotpd.student.student import Student
from cotpd.student.weight_file import save_tensors

logger = logging.getLogger(__name__)

_REPORT_STEPS = 10
CHECKPOINT_STEPS = 200
"""Updates between two checkpoints; one is saved after each epoch, too."""


class Trainer:
    """Trains a student in a run directory.

    The order of the examples, the dropout and the learning rates depend only on the seed and the number of updates. A
    checkpoint therefore consists of the weights, the optimizer and a `State`.
    """

    def __init__(
        self,
        student: Student,
        batches: TrainingBatches,
        dev: Sequence[Example],
        config: ExperimentConfig,
        run: RunDirectory,
    ) -> None:
        self._config, self._run, self._batches, self._dev = config, run, batches, dev
        self._student = student
        self._accelerator = Accelerator(mixed_precision="no")
        objective, optimizer = Objective(student, config.objective), build_optimizer(student, config.optimisation)
        self._objective, self._optimizer = self._accelerator.prepare(objective, optimizer)
        self._autocast = in_precision(student, config.optimisation.precision)
        self._steps_per_epoch = len(batches.batches(0))
        self.num_steps = config.optimisation.epochs * self._steps_per_epoch
        self._state = State()
        self._mode = config.corpus.score_mode if config.corpus else DEFAULT_MODE
        self._begun = time.monotonic()

    def train(self, listener: Listener) -> State:
        """Train, and load the weights with the best dev score into the student.

        Training stops early when the dev score has not improved for ``patience`` epochs. While the score is 0, the
        latest weights count as the best, so training does not stop early.

        Raises:
            TrainingError: If the loss is not finite. The message names the examples.
        """
        self._resume()
        self._begun = time.monotonic() - self._state.seconds
        while self._state.step < self.num_steps and not self._has_stalled():
            self._train_epoch(self._state.step // self._steps_per_epoch, listener)
        self._log_end()
        self._accelerator.wait_for_everyone()
        best = self._run.best(self._state)
        verify_directory(best, advice="resume with --resume; training is repeated from an earlier checkpoint")
        checkpoint.load_weights(self._student, best / "model.safetensors")
        self._accelerator.wait_for_everyone()
        return self._state

    def _train_epoch(self, epoch: int, listener: Listener) -> None:
        batches, recent = self._batches.batches(epoch), _RecentLosses()
        self._objective.train()
        for indices in batches[self._state.step % self._steps_per_epoch :]:
            recent.add(self._update(self._batches.read(self._share_of(indices), epoch=epoch)))
            self._state = replace(self._state, step=self._state.step + 1, seconds=time.monotonic() - self._begun)
            step = self._state.step
            ends_epoch = step % self._steps_per_epoch == 0
            saves = ends_epoch or step % CHECKPOINT_STEPS == 0
            if saves or step % _REPORT_STEPS == 0:
                self._report(recent, epoch, listener)
                recent = _RecentLosses()
            if ends_epoch:
                self._end_epoch(epoch, listener)
            elif saves:
                self._save()

    def _update(self, step: Step) -> Losses:
        done = self._state.step
        torch.manual_seed(_mix_seed(self._config.seed, done, self._accelerator.process_index))
        set_learning_rates(self._optimizer, step=done, num_steps=self.num_steps)
        target = step.target.to(self._accelerator.device) if isinstance(step.target, Tensor) else step.target
        with self._autocast:
            losses: Losses = self._objective(step.view, target, step.labelled, progress=done / self.num_steps)
        if not torch.isfinite(losses.total):
            raise TrainingError(
                f"the loss is {losses.total.item()} at update {done + 1}, examples {', '.join(step.ids)}; "
                "lower the learning rate, or inspect these examples with `cotpd show`"
            )
        self._accelerator.backward(losses.total)
        self._accelerator.clip_grad_norm_(self._objective.parameters(), MAX_GRADIENT_NORM)
        self._optimizer.step()
        self._optimizer.zero_grad()
        return losses

    def _end_epoch(self, epoch: int, listener: Listener) -> None:
        f1 = self._dev_f1()
        if not self._state.best_f1 or f1 > self._state.best_f1:  # while F1 is 0, the latest weights are the best
            self._state = replace(self._state, best_f1=f1, best_step=self._state.step, best_epoch=epoch)
            self._save_best()
        self._state = replace(self._state, seconds=time.monotonic() - self._begun)
        if self._accelerator.is_main_process:
            self._run.log(step=self._state.step, epoch=epoch, dev_f1=f1, seconds=round(self._state.seconds, 3))
        listener(self._progress(epoch, task=float("nan"), alignment=float("nan"), dev_f1=f1))
        self._save()

    def _dev_f1(self) -> float:
        """Return the dev score of the deployed view, the same in every process."""
        predictions = decode(self._student, self._dev, kind=self._student.design.deployed_view)
        scoring = SCORING[self._config.task]
        scores = evaluate(predictions, self._dev, mode=self._mode, rule=scoring.rule, resamples=0)
        self._objective.train()
        return float(getattr(scores, scoring.dev_metric))

    def _report(self, recent: _RecentLosses, epoch: int, listener: Listener) -> None:
        task, alignment = recent.means()
        if self._accelerator.is_main_process:
            rates = {"learning_rate": self._optimizer.param_groups[0]["lr"]}
            self._run.log(step=self._state.step, epoch=epoch, task_loss=task, alignment_loss=alignment, **rates)
        listener(self._progress(epoch, task=task, alignment=alignment, dev_f1=None))

    def _progress(self, epoch: int, *, task: float, alignment: float, dev_f1: float | None) -> Progress:
        return Progress(self._state.step, self.num_steps, epoch, task, alignment, dev_f1, self._state.best_f1)

    def _save(self) -> None:
        step = self._state.step
        if not self._accelerator.is_main_process or self._run.has("step", step):
            return
        with self._run.save("step", step) as directory:
            save_tensors(checkpoint.weights(self._student), directory / "model.safetensors")
            save_tensors(optimizer_state(self._optimizer), directory / "optimizer.safetensors")
            (directory / "state.json").write_text(state_json(self._state), encoding="utf-8")
        self._run.prune()

    def _save_best(self) -> None:
        step = self._state.step
        if self._accelerator.is_main_process and not self._run.has("best", step):
            with self._run.save("best", step) as directory:
                save_tensors(checkpoint.weights(self._student), directory / "model.safetensors")

    def _resume(self) -> None:
        with self._accelerator.main_process_first():
            found = self._run.newest()
            if found:
                directory, self._state = found
                checkpoint.load_weights(self._student, directory / "model.safetensors")
                load_optimizer_state(self._optimizer, load_file(directory / "optimizer.safetensors"))
                logger.info("resumed at update %d of %d", self._state.step, self.num_steps)
        if self._accelerator.is_main_process:
            self._run.rewind_metrics(self._state.step)

    def _has_stalled(self) -> bool:
        finished_epochs = self._state.step // self._steps_per_epoch
        at_boundary = self._state.step % self._steps_per_epoch == 0
        stalled = finished_epochs - 1 - self._state.best_epoch >= self._config.optimisation.patience
        return at_boundary and finished_epochs > 0 and stalled

    def _log_end(self) -> None:
        """Log that training stopped early, or that the student learned nothing."""
        state = self._state
        if not self._accelerator.is_main_process:
            return
        if state.step < self.num_steps:
            message = "stopped at update %d of %d: dev F1 has not improved since epoch %d"
            logger.info(message, state.step, self.num_steps, state.best_epoch + 1)
        if not state.best_f1:
            logger.warning("dev F1 is 0 after the last epoch; train longer (optimisation.epochs), or see `cotpd check`")

    def _share_of(self, indices: list[int]) -> list[int]:
        accelerator = self._accelerator
        return share_of_process(indices, accelerator.process_index, num_processes=accelerator.num_processes)


class _RecentLosses:
    """The mean losses since the last report."""

    def __init__(self) -> None:
        self._task, self._alignment, self._count = 0.0, 0.0, 0

    def add(self, losses: Losses) -> None:
        self._task += float(losses.task.detach())
        self._alignment += float(losses.alignment.detach())
        self._count += 1

    def means(self) -> tuple[float, float]:
        return self._task / self._count, self._alignment / self._count


def _mix_seed(*numbers: int) -> int:
    """Mix several numbers into one seed, so that neighbouring updates get unrelated seeds."""
    value = 0x9E3779B97F4A7C15
    for number in numbers:
        value = ((value ^ number) * 0xBF58476D1CE4E5B9) % 2**63
        value ^= value >> 29
    return value
