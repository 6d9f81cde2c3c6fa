"""Optimisation: AdamW with a learning rate per part of the student, linear warm-up and linear decay."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from cotpd.core.config import OptimisationConfig
from cotpd.student.student import Student

HEAD_LEARNING_RATE = 1e-3
"""The peak learning rate of the head, the CRF and the markers."""
GENERATOR_LEARNING_RATE = 3e-4
"""The peak learning rate of the prompt generator."""
WEIGHT_DECAY = 0.01
WARMUP_SHARE = 0.1
"""The share of all updates in which the learning rates grow; afterwards they decay linearly to zero."""
MAX_GRADIENT_NORM = 1.0


def build_optimizer(student: Student, config: OptimisationConfig) -> AdamW:
    """Return AdamW over all trainable weights; biases and normalisation weights have no weight decay."""
    rates = {
        "encoder": config.learning_rate,
        "markers": HEAD_LEARNING_RATE,
        "head": HEAD_LEARNING_RATE,
        "generator": GENERATOR_LEARNING_RATE,
    }
    groups: dict[tuple[str, bool], list[nn.Parameter]] = {}
    for name, weight in student.named_parameters():
        if weight.requires_grad:
            groups.setdefault((name.partition(".")[0], weight.ndim > 1), []).append(weight)
    return AdamW(
        [
            {
                "params": weights,
                "weight_decay": WEIGHT_DECAY if decays else 0.0,
                "lr": rates[part],
                "peak": rates[part],
            }
            for (part, decays), weights in groups.items()
        ],
        fused=True,
    )


def set_learning_rates(optimizer: Optimizer, *, step: int, num_steps: int) -> None:
    """Set the learning rate of each group for update ``step`` (from 0) of ``num_steps``."""
    warmup = int(WARMUP_SHARE * num_steps)
    share = (step + 1) / warmup if step < warmup else (num_steps - step) / max(1, num_steps - warmup)
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * share


def optimizer_state(optimizer: Optimizer) -> dict[str, Tensor]:
    """Return the tensors of an optimizer by weight number and name, as safetensors stores them."""
    state = optimizer.state_dict()["state"]
    return {
        f"{number}.{name}": torch.as_tensor(value).detach().cpu().contiguous()
        for number, values in state.items()
        for name, value in values.items()
    }


def load_optimizer_state(optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
    """Restore the tensors of `optimizer_state`; the groups come from the configuration and are not stored."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        number, name = key.split(".", 1)
        state.setdefault(int(number), {})[name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
