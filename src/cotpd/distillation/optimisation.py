"""How weights move: one AdamW with a learning rate for each part, warm-up and linear decay, all from the step alone."""

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
"""The share of all updates over which the learning rates grow; then they fall linearly to zero."""
MAX_GRADIENT_NORM = 1.0


def build_optimizer(student: Student, config: OptimisationConfig) -> AdamW:
    """AdamW over all weights that learn, with the rate of their part; biases and norms do not decay."""
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
    """Give each group its rate for update ``step`` of ``num_steps``, counted from 0."""
    warmup = int(WARMUP_SHARE * num_steps)
    share = (step + 1) / warmup if step < warmup else (num_steps - step) / max(1, num_steps - warmup)
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * share


def optimizer_state(optimizer: Optimizer) -> dict[str, Tensor]:
    """The optimizer's tensors, by number of weight and name, for safetensors."""
    state = optimizer.state_dict()["state"]
    return {
        f"{number}.{name}": torch.as_tensor(value).detach().cpu().contiguous()
        for number, values in state.items()
        for name, value in values.items()
    }


def load_optimizer_state(optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what `optimizer_state` gave; the groups are rebuilt from the config, never stored."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        number, name = key.split(".", 1)
        state.setdefault(int(number), {})[name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
