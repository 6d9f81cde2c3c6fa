"""The recursions over a linear chain of tags, in log space: partition, marginals, divergence, best paths."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

IMPOSSIBLE = -1e30
"""The log-weight of what cannot be: far below any score, yet finite, so that no difference of two is NaN."""

FLOOR = -1e4
"""The least log-marginal that is told apart from impossible, and what a given path pays for an impossible step."""


class Chain(NamedTuple):
    """The log-weights of a batch of chains, all of one floating type; a path's score is the sum along it.

    ``emissions [batch, words, tags]`` are finite, on padding too; ``transitions [tags, tags]`` from row to column;
    ``start``, ``end [tags]``; ``mask [batch, words]``, true on words, which stand left of the padding.

    ``reach``: in so many steps any tag can follow any other. ``step``: nats that a word and a transition may make
    between two paths, at most. Either is infinite where it is not known.
    """

    emissions: Tensor
    transitions: Tensor
    start: Tensor
    end: Tensor
    mask: Tensor
    reach: float
    step: float


def score(chain: Chain, tags: Tensor) -> Tensor:
    """The score of each path ``tags [batch, words]``, ``[batch]``; what stands on padding is not read.

    An impossible transition costs `FLOOR`, so that no loss becomes infinite.
    """
    mask, tags = chain.mask, tags.masked_fill(~chain.mask, 0)
    transitions, start, end = (weights.clamp(min=FLOOR) for weights in chain[1:4])
    emissions = chain.emissions.gather(-1, tags.unsqueeze(-1)).squeeze(-1)
    steps = transitions[tags[:, :-1], tags[:, 1:]]
    last = tags.gather(1, mask.sum(1, keepdim=True) - 1).squeeze(1)
    along = emissions.masked_fill(~mask, 0.0).sum(1) + steps.masked_fill(~mask[:, 1:], 0.0).sum(1)
    return along + start[tags[:, 0]] + end[last]


def log_partition(chain: Chain) -> Tensor:
    """The log of the summed weights of all paths, ``[batch]``."""
    return (_forward(chain)[-1] + chain.end).logsumexp(-1)


def log_marginals(chain: Chain) -> Tensor:
    """The log of each word's posterior over tags, ``[batch, words, tags]``, at least `FLOOR`; uniform on padding."""
    forward, backward = torch.stack(_forward(chain), 1), torch.stack(_backward(chain), 1)
    marginals = (forward + backward).log_softmax(-1).clamp(min=FLOOR)
    return marginals.masked_fill(~chain.mask.unsqueeze(-1), -math.log(chain.start.shape[0]))


def segments(chain: Chain, path: Tensor, places: Tensor, behind: Tensor) -> Tensor:
    """The log-probability of each segment of ``path [batch, words]``, ``[segments]``.

    It is that of the paths which have the segment's tags on its words and one of ``behind [tags]`` bool on the next,
    if there is one. ``places [3, segments]``: row, first word, end (exclusive). O(words · tags² + segments · tags).
    """
    forward, backward = torch.stack(_forward(chain), 1), torch.stack(_backward(chain), 1)
    rows, starts, ends = places.unbind()
    last = path[rows, ends - 1]
    steps = chain.emissions.gather(-1, path.unsqueeze(-1)).squeeze(-1)[:, 1:]
    steps = steps + chain.transitions[path[:, :-1], path[:, 1:]]
    along = functional.pad(steps.masked_fill(~chain.mask[:, 1:], 0.0).cumsum(1), (1, 0))
    kept = forward[rows, starts, path[rows, starts]] + along[rows, ends - 1] - along[rows, starts]
    onward = (chain.emissions + backward).masked_fill(~behind, IMPOSSIBLE)[rows, ends.clamp(max=path.shape[1] - 1)]
    left = (chain.transitions[last] + onward).logsumexp(-1)
    is_final = ends == chain.mask.sum(1)[rows]
    total = (forward[:, -1] + chain.end).logsumexp(-1)
    return kept + torch.where(is_final, chain.end[last], left) - total[rows]


def divergence(p: Chain, q: Chain) -> Tensor:
    """KL(p ‖ q) over whole paths, ``[batch]``, of two chains with one mask.

        KL = log Z_q − log Z_p + E_p[s_p − s_q],   s: the score of a path

    The expectation runs along with p's forward recursion: over the beginnings of a path that end in a tag it is the
    mean over the tag before (Li and Eisner 2009, the expectation semiring). O(words · tags²).
    """
    gaps, first_gap, last_gap = p.emissions - q.emissions, p.start - q.start, p.end - q.end
    state, expected = p.start + p.emissions[:, 0], first_gap + gaps[:, 0]
    for word in range(1, p.mask.shape[1]):
        joint = state.unsqueeze(-1) + p.transitions
        longer = (joint.softmax(1) * (expected.unsqueeze(-1) + (p.transitions - q.transitions))).sum(1)
        real = p.mask[:, word, None]
        state = torch.where(real, joint.logsumexp(1) + p.emissions[:, word], state)
        expected = torch.where(real, longer + gaps[:, word], expected)
    last = state + p.end
    gained = (last.softmax(-1) * (expected + last_gap)).sum(-1)
    return log_partition(q) - last.logsumexp(-1) + gained


def best_path(chain: Chain) -> Tensor:
    """The path of highest score, ``[batch, words]`` int64; 0 on padding. Ties go to the lower tag, last word first."""
    emissions, steps = chain.emissions.permute(1, 2, 0).contiguous(), chain.transitions.unsqueeze(-1)
    state = chain.start.unsqueeze(-1) + emissions[0]  # [tags, batch]
    states, pointers = [state], []
    for emission in emissions[1:].unbind():
        state, came = (state.unsqueeze(1) + steps).max(0)
        states.append(state.add_(emission))
        pointers.append(came)
    last, rows = chain.mask.sum(1) - 1, torch.arange(len(chain.mask), device=state.device)
    tag = (torch.stack(states)[last, :, rows] + chain.end).argmax(-1)
    return _follow(pointers, tag.unsqueeze(0), chain.mask).squeeze(0).masked_fill(~chain.mask, 0)


def best_paths(chain: Chain, k: int) -> tuple[Tensor, Tensor]:
    """The ``k`` paths of highest score, best first: ``[batch, k, words]`` int64, 0 on padding, and ``[batch, k]``.

    Where fewer paths are possible, the rest have score −inf and tag 0 throughout.
    """
    first = (chain.start + chain.emissions[:, 0]).unsqueeze(-1)
    state = functional.pad(first, (0, k - 1), value=IMPOSSIBLE)  # [batch, tags, k]
    steps, pointers = chain.transitions.T.repeat_interleave(k, 1), []
    for emission, real in zip(chain.emissions.unbind(1)[1:], chain.mask.unbind(1)[1:], strict=True):
        scores, came = _top(state.flatten(1).unsqueeze(1) + steps, k)
        state = torch.where(real.view(-1, 1, 1), scores + emission.unsqueeze(-1), state)
        pointers.append(came.flatten(1).T)
    scores, slots = _top((state + chain.end.unsqueeze(-1)).flatten(1), k)
    possible = scores > IMPOSSIBLE / 2
    paths = _follow(pointers, slots.T, chain.mask).div(k, rounding_mode="floor").transpose(0, 1)
    real = possible.unsqueeze(-1) & chain.mask.unsqueeze(1)
    return paths.masked_fill(~real, 0), scores.masked_fill(~possible, -math.inf)


def _forward(chain: Chain) -> list[Tensor]:
    """Of each word, the log-weight of the paths up to it by its tag, ``[batch, tags]``; on padding, the last word's."""
    emissions, mask = chain.emissions.unbind(1), chain.mask.unsqueeze(-1).unbind(1)
    states = [chain.start + emissions[0]]
    for emission, real in zip(emissions[1:], mask[1:], strict=True):
        state = (states[-1].unsqueeze(-1) + chain.transitions).logsumexp(1) + emission
        states.append(torch.where(real, state, states[-1]))
    return states


def _backward(chain: Chain) -> list[Tensor]:
    """Of each word, the log-weight of the paths behind it by its tag, ``[batch, tags]``; on padding, that of none."""
    emissions, mask = chain.emissions.unbind(1), chain.mask.unsqueeze(-1).unbind(1)
    states = [chain.end.expand_as(emissions[0])]
    for emission, real in zip(emissions[:0:-1], mask[:0:-1], strict=True):
        state = ((states[-1] + emission).unsqueeze(1) + chain.transitions).logsumexp(-1)
        states.append(torch.where(real, state, states[-1]))
    return states[::-1]


def _top(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The ``k`` highest along the last dimension and where they stood, ties in order."""
    values, places = scores.sort(descending=True, stable=True)
    return values[..., :k], places[..., :k]


def _follow(pointers: list[Tensor], last: Tensor, mask: Tensor) -> Tensor:
    """The paths that end in ``last [paths, batch]``, ``[paths, batch, words]``: of each word, where it came from.

    ``pointers``: of each word but the first, the place before each place, ``[places, batch]``; not read on padding.
    """
    path = [last]
    if pointers:
        stay = torch.arange(len(pointers[0]), device=mask.device).unsqueeze(-1)
        for came in reversed(torch.where(mask.T[1:].unsqueeze(1), torch.stack(pointers), stay).unbind()):
            path.append(came.gather(0, path[-1]))
    return torch.stack(path[::-1], -1)
