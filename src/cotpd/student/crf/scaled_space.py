"""The recursions of the chain over probabilities instead of logarithms: much faster, where the weights are tame.

Forward and backward recursion are one, over a stack of the words in order and of the words in reverse:

    before[k] = after[k - 1] @ M + entry[k],   after[k] = before[k] · weights[k]

with ``M`` exp(transitions) for the first half and its transpose for the second, ``weights`` exp(emissions), 0 on
padding, ``entry`` exp(start) at the first word and exp(end) at the last. Word t has index t in the first half and
words - 1 - t in the second. Every few words a row is rescaled (Rabiner 1989) by a factor that is put into its weights,
so that the derivative is the same recursion once more, from behind.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from cotpd.student.crf.log_space import FLOOR, Chain

_GAP, _DRIFT = 220.0, 110.0
"""Nats that two tags of a word may lie apart, and that a row may shrink or grow between two rescalings.

A product of the two halves then stays above e⁻⁷⁰⁰, where float64 is still exact: nothing is rounded to 0.
"""
_TINY = 1e-306


def fits(chain: Chain) -> bool:
    """Whether float64 holds every probability of the recursion.

    Any tag reaches any other in ``chain.reach`` steps, so no two tags that can be had at a word lie further apart than
    the best and the worst path of that many steps.
    """
    return chain.emissions.dtype == torch.float64 and max(chain.reach, 2) * chain.step <= _GAP


def log_partition(chain: Chain) -> Tensor:
    """The log of the summed weights of all paths, ``[batch]``."""
    result: Tensor = _LogPartition.apply(chain, *chain[:4])  # type: ignore[no-untyped-call]
    return result


def log_marginals(chain: Chain) -> Tensor:
    """The log of each word's posterior over tags, ``[batch, words, tags]``, at least `FLOOR`; uniform on padding."""
    result: Tensor = _LogMarginals.apply(chain, *chain[:4])  # type: ignore[no-untyped-call]
    return result


def divergence(p: Chain, q: Chain) -> Tensor:
    """KL(p ‖ q) over whole paths, ``[batch]``, of two chains that differ in their emissions alone.

    KL = log Z_q − log Z_p + Σ_words Σ_tags p(tag) (emission_p − emission_q)
    """
    gained = (log_marginals(p).exp() * (p.emissions - q.emissions)).sum((1, 2))
    return log_partition(q) - log_partition(p) + gained


def divergence_of_held(p: Chain, q: Chain) -> Tensor:
    """The `divergence` from a ``p`` that is held fixed; ``p.emissions`` must be detached, its other weights are q's.

    The gradient by a weight of both is how often q expects to take it less how often p does: that of log Z_q − log Z_p.
    """
    share = log_marginals(p).exp().detach()
    return log_partition(q) - log_partition(p) + (share * (p.emissions - q.emissions)).sum((1, 2))


class _LogPartition(Function):
    """log Z, whose gradient is the expected count of what each weight stands for."""

    @staticmethod
    def forward(ctx: Any, chain: Chain, *weights: Tensor) -> Tensor:
        """log Z, ``[batch]``; ``weights`` are those of the chain, for autograd to know them."""
        stack, log_scale = _run(chain)
        marginals, total = _posterior(stack)
        starts = stack.after[:-1, 0] / total[:-1].clamp(min=_TINY)
        ctx.save_for_backward(marginals, starts, stack.after[:-1, 1].flip(0), stack.matrices[0], _last(chain.mask))
        return total[0].log().squeeze(-1) + log_scale

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of the chain's four weights."""
        marginals, starts, ends, matrix, last = ctx.saved_tensors
        gradient = gradient.unsqueeze(-1)
        counts = marginals * gradient
        steps = matrix * ((starts * gradient).flatten(0, 1).T @ ends.flatten(0, 1))
        return None, counts.transpose(0, 1), steps, counts[0].sum(0), counts[last.unbind()].sum(0)


class _LogMarginals(Function):
    """Log-marginals, whose gradient is one more recursion over the same stack."""

    @staticmethod
    def forward(ctx: Any, chain: Chain, *weights: Tensor) -> Tensor:
        """Log-marginals ``[batch, words, tags]``; ``weights`` are those of the chain, for autograd to know them."""
        stack, _ = _run(chain)
        marginals, _ = _posterior(stack)
        ctx.save_for_backward(marginals, *stack, chain.start.exp(), chain.end.exp(), _last(chain.mask))
        result = marginals.log().masked_fill_(marginals == 0, FLOOR).transpose(0, 1)
        return result.masked_fill(~chain.mask.unsqueeze(-1), -math.log(chain.start.shape[0]))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of the chain's four weights."""
        marginals, before, after, weights, matrices, start, end, last = ctx.saved_tensors
        gradient = gradient.transpose(0, 1).masked_fill(marginals == 0, 0.0)
        centred = gradient - marginals * gradient.sum(-1, keepdim=True)
        adjoint = _run_back(_both(centred) / before.clamp(min=_TINY), weights, matrices)
        through = adjoint * before
        steps = torch.bmm(after[:-1].transpose(0, 1).flatten(1, 2).mT, adjoint[1:].transpose(0, 1).flatten(1, 2))
        word, row = last.unbind()
        return (
            None,
            (through[:, 0] + through[:, 1].flip(0) - centred).transpose(0, 1),
            matrices[0] * (steps[0] + steps[1].T),
            adjoint[0, 0].sum(0) * start,
            adjoint[len(adjoint) - 1 - word, 1, row].sum(0) * end,
        )


class _Stack(NamedTuple):
    """What the recursion leaves: ``before, after, weights [words, 2, batch, tags]``, ``matrices [2, tags, tags]``."""

    before: Tensor
    after: Tensor
    weights: Tensor
    matrices: Tensor


def _run(chain: Chain) -> tuple[_Stack, Tensor]:
    """The recursion, and the log of the factor ``[batch]`` that its probabilities at the first word lack."""
    emissions, mask = chain.emissions.transpose(0, 1), chain.mask.T.unsqueeze(-1)
    top = emissions.amax(-1, keepdim=True)
    weights = _both((emissions - top).exp() * mask)
    transitions = chain.transitions.exp()
    matrices = torch.stack([transitions, transitions.T])
    before, after, scales = _entries(chain), torch.empty_like(weights), [torch.ones_like(weights[0, ..., :1])]
    arrived, left, factors = before.unbind(), after.unbind(), weights.unbind()
    period = max(1, int(_DRIFT / (chain.step + math.log(len(chain.start)))))
    for index, (state, factor) in enumerate(zip(arrived, factors, strict=True)):
        if index:
            state.baddbmm_(left[index - 1], matrices)
        if index % period == period - 1 and index + 1 < len(arrived):
            scale = state.amax(-1, keepdim=True)
            scales.append(scale.masked_fill_(scale == 0, 1.0))
            factor.div_(scale)
        torch.mul(state, factor, out=left[index])
    logs = torch.stack(scales).log()
    lacking = logs.sum(0)[1] + (logs[:2, 0].sum(0) if period == 1 else 0.0)  # the first word is rescaled in both halves
    log_scale = (top * mask).sum(0) + lacking
    return _Stack(before, after, weights, matrices), log_scale.squeeze(-1)


def _run_back(local: Tensor, weights: Tensor, matrices: Tensor) -> Tensor:
    """The derivatives by ``before`` from those that each word adds itself, all ``[words, 2, batch, tags]``."""
    adjoints, factors, into = local.unbind(), weights.unbind(), matrices.mT.contiguous()
    for index in range(len(adjoints) - 2, -1, -1):
        adjoints[index].addcmul_(factors[index], torch.bmm(adjoints[index + 1], into))
    return local


def _entries(chain: Chain) -> Tensor:
    """What enters the recursion from outside, ``[words, 2, batch, tags]``."""
    num_rows, num_words, num_tags = chain.emissions.shape
    entries = chain.emissions.new_zeros(num_words, 2, num_rows, num_tags)
    word, row = _last(chain.mask).unbind()
    entries[0, 0] = chain.start.exp()
    entries[num_words - 1 - word, 1, row] = chain.end.exp()
    return entries


def _posterior(stack: _Stack) -> tuple[Tensor, Tensor]:
    """Marginals ``[words, batch, tags]``, 0 on padding, and what they were divided by, ``[words, batch, 1]``."""
    joint = stack.after[:, 0] * stack.before[:, 1].flip(0)
    total = joint.sum(-1, keepdim=True)
    return joint / total.clamp(min=_TINY), total


def _both(words: Tensor) -> Tensor:
    """``[words, batch, tags]`` in order and in reverse, ``[words, 2, batch, tags]``."""
    return torch.stack([words, words.flip(0)], 1)


def _last(mask: Tensor) -> Tensor:
    """The index of each row's last word and the row's, ``[2, batch]``."""
    return torch.stack([mask.sum(1) - 1, torch.arange(len(mask), device=mask.device)])
