"""Forward-backward over scaled probabilities (Rabiner 1989): much faster than log space, for moderate weights.

The forward and the backward recursion run as one, over a stack of the words in order (half 0) and in reverse (half 1):

    before[k] = after[k - 1] @ M + entry[k],   after[k] = before[k] · weights[k]

- ``M`` is exp(transitions) in half 0 and its transpose in half 1.
- ``weights`` is exp(emissions), and 0 on padding.
- ``entry`` is exp(start) at the first word and exp(end) at the last.
- Word t has index t in half 0 and words - 1 - t in half 1.

In half 0, ``after`` holds the forward messages α; in half 1, ``before`` holds the backward messages β. Every few words
a row is rescaled, and the scaling factor is folded into the weights of that word. The derivative is therefore the same
recursion run in the opposite direction.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from cotpd.student.crf.log_space import FLOOR, Chain

_MAX_TAG_GAP, _MAX_DRIFT = 220.0, 110.0
"""Maximum distance, in nats, between two tags of one word, and maximum drift of a row between two rescalings.

With these limits a product of the two halves stays above e⁻⁷⁰⁰, where float64 has full precision: nothing underflows.
"""
_TINY = 1e-306


def can_represent(chain: Chain) -> bool:
    """Return True if float64 can hold every probability of the recursion without underflow.

    ``chain.mixing_length`` transitions lead from any tag to any other, so two possible tags of a word differ by at
    most the score difference between the best and the worst path of that length.
    """
    return chain.emissions.dtype == torch.float64 and max(chain.mixing_length, 2) * chain.score_range <= _MAX_TAG_GAP


def log_partition(chain: Chain) -> Tensor:
    """Compute log Z with the scaled forward-backward algorithm, ``[batch]``."""
    result: Tensor = _LogPartition.apply(chain, *chain[:4])  # type: ignore[no-untyped-call]
    return result


def log_marginals(chain: Chain) -> Tensor:
    """Compute log p(yₜ | x) with the scaled forward-backward algorithm, ``[batch, words, tags]``.

    Values are at least `FLOOR`; padding gets the uniform distribution.
    """
    result: Tensor = _LogMarginals.apply(chain, *chain[:4])  # type: ignore[no-untyped-call]
    return result


def kl(p: Chain, q: Chain) -> Tensor:
    """Compute KL(p ‖ q) over whole paths, ``[batch]``, for two chains that differ only in their emissions.

    KL = log Z_q − log Z_p + Σ_words Σ_tags p(tag) (emission_p − emission_q)
    """
    expected_gap = (log_marginals(p).exp() * (p.emissions - q.emissions)).sum((1, 2))
    return log_partition(q) - log_partition(p) + expected_gap


def kl_detached(p: Chain, q: Chain) -> Tensor:
    """Compute `kl` with a stop-gradient on p, whose emissions must be detached already.

    The transition weights are shared. Their gradient is the difference of their expected counts under q and p, which
    is the gradient of log Z_q − log Z_p.
    """
    marginals = log_marginals(p).exp().detach()
    return log_partition(q) - log_partition(p) + (marginals * (p.emissions - q.emissions)).sum((1, 2))


class _LogPartition(Function):
    """log Z. Its gradient with respect to a weight is the expected count of the corresponding event."""

    @staticmethod
    def forward(ctx: Any, chain: Chain, *weights: Tensor) -> Tensor:
        """Return log Z, ``[batch]``. ``weights`` are those of the chain, passed so that autograd tracks them."""
        stack, log_scale = _run_recursion(chain)
        marginals, total = _marginals(stack)
        starts = stack.after[:-1, 0] / total[:-1].clamp(min=_TINY)
        ctx.save_for_backward(marginals, starts, stack.after[:-1, 1].flip(0), stack.matrices[0], _last(chain.mask))
        return total[0].log().squeeze(-1) + log_scale

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the chain's four weights."""
        marginals, starts, ends, matrix, last = ctx.saved_tensors
        gradient = gradient.unsqueeze(-1)
        counts = marginals * gradient
        steps = matrix * ((starts * gradient).flatten(0, 1).T @ ends.flatten(0, 1))
        return None, counts.transpose(0, 1), steps, counts[0].sum(0), counts[last.unbind()].sum(0)


class _LogMarginals(Function):
    """Log-marginals. Their gradient is one more recursion over the same stack."""

    @staticmethod
    def forward(ctx: Any, chain: Chain, *weights: Tensor) -> Tensor:
        """Return log-marginals ``[batch, words, tags]``. ``weights`` are those of the chain, tracked by autograd."""
        stack, _ = _run_recursion(chain)
        marginals, _ = _marginals(stack)
        ctx.save_for_backward(marginals, *stack, chain.start.exp(), chain.end.exp(), _last(chain.mask))
        result = marginals.log().masked_fill_(marginals == 0, FLOOR).transpose(0, 1)
        return result.masked_fill(~chain.mask.unsqueeze(-1), -math.log(chain.start.shape[0]))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the chain's four weights."""
        marginals, before, after, weights, matrices, start, end, last = ctx.saved_tensors
        gradient = gradient.transpose(0, 1).masked_fill(marginals == 0, 0.0)
        centred = gradient - marginals * gradient.sum(-1, keepdim=True)
        adjoint = _run_adjoint(_both_directions(centred) / before.clamp(min=_TINY), weights, matrices)
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
    """Messages of both halves: ``before, after, weights [words, 2, batch, tags]``, ``matrices [2, tags, tags]``."""

    before: Tensor
    after: Tensor
    weights: Tensor
    matrices: Tensor


def _run_recursion(chain: Chain) -> tuple[_Stack, Tensor]:
    """Run the scaled recursion.

    Returns:
        The messages, and the logarithm of the removed scale ``[batch]``, to add to the log of the total.
    """
    emissions, mask = chain.emissions.transpose(0, 1), chain.mask.T.unsqueeze(-1)
    top = emissions.amax(-1, keepdim=True)
    weights = _both_directions((emissions - top).exp() * mask)
    transitions = chain.transitions.exp()
    matrices = torch.stack([transitions, transitions.T])
    before, after, scales = _entries(chain), torch.empty_like(weights), [torch.ones_like(weights[0, ..., :1])]
    incoming, outgoing, factors = before.unbind(), after.unbind(), weights.unbind()
    period = max(1, int(_MAX_DRIFT / (chain.score_range + math.log(len(chain.start)))))
    for index, (state, factor) in enumerate(zip(incoming, factors, strict=True)):
        if index:
            state.baddbmm_(outgoing[index - 1], matrices)
        if index % period == period - 1 and index + 1 < len(incoming):
            scale = state.amax(-1, keepdim=True)
            scales.append(scale.masked_fill_(scale == 0, 1.0))
            factor.div_(scale)
        torch.mul(state, factor, out=outgoing[index])
    logs = torch.stack(scales).log()
    first_half = logs[:2, 0].sum(0) if period == 1 else 0.0  # with period 1, both halves scale word 1
    log_scale = (top * mask).sum(0) + logs.sum(0)[1] + first_half
    return _Stack(before, after, weights, matrices), log_scale.squeeze(-1)


def _run_adjoint(local: Tensor, weights: Tensor, matrices: Tensor) -> Tensor:
    """Compute the gradient of ``before`` from the local gradient of each word, both ``[words, 2, batch, tags]``.

    Works in place on ``local``.
    """
    adjoints, factors, transposed = local.unbind(), weights.unbind(), matrices.mT.contiguous()
    for index in range(len(adjoints) - 2, -1, -1):
        adjoints[index].addcmul_(factors[index], torch.bmm(adjoints[index + 1], transposed))
    return local


def _entries(chain: Chain) -> Tensor:
    """Build ``entry [words, 2, batch, tags]``: start at the first word of half 0, end at the last word of half 1."""
    num_rows, num_words, num_tags = chain.emissions.shape
    entries = chain.emissions.new_zeros(num_words, 2, num_rows, num_tags)
    word, row = _last(chain.mask).unbind()
    entries[0, 0] = chain.start.exp()
    entries[num_words - 1 - word, 1, row] = chain.end.exp()
    return entries


def _marginals(stack: _Stack) -> tuple[Tensor, Tensor]:
    """Return marginals ``[words, batch, tags]``, 0 on padding, and their normalisers ``[words, batch, 1]``."""
    joint = stack.after[:, 0] * stack.before[:, 1].flip(0)
    total = joint.sum(-1, keepdim=True)
    return joint / total.clamp(min=_TINY), total


def _both_directions(words: Tensor) -> Tensor:
    """Stack ``[words, batch, tags]`` in order and in reverse, ``[words, 2, batch, tags]``."""
    return torch.stack([words, words.flip(0)], 1)


def _last(mask: Tensor) -> Tensor:
    """Return the index of each row's last word and of the row, ``[2, batch]``."""
    return torch.stack([mask.sum(1) - 1, torch.arange(len(mask), device=mask.device)])
