"""Forward-backward, divergence and decoding of a linear chain in log space: exact for any weights."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

IMPOSSIBLE = -1e30
"""Log-potential of impossible events: far below any real score but finite, so that differences are never NaN."""

FLOOR = -1e4
"""Lower bound of log-marginals, and the score of a forbidden transition on a given path."""


class Chain(NamedTuple):
    """Log-potentials of a batch of linear chains, all of one floating-point type.

    Attributes:
        emissions: ``[batch, words, tags]``, finite everywhere, including padding.
        transitions: ``[tags, tags]``, from the row's tag to the column's.
        start: ``[tags]``.
        end: ``[tags]``.
        mask: ``[batch, words]`` bool, True on words; padding is on the right.
        mixing_length: Number of transitions that can lead from any tag to any other (the index of primitivity of the
            allowed transitions); infinity if there is none.
        score_range: Upper bound, in nats, of the score difference that one word and one transition can make between
            two paths; infinity if it is unknown.
    """

    emissions: Tensor
    transitions: Tensor
    start: Tensor
    end: Tensor
    mask: Tensor
    mixing_length: float
    score_range: float


def score(chain: Chain, tags: Tensor) -> Tensor:
    """Compute the score of the paths ``tags [batch, words]``, ``[batch]``; tags on padding are ignored.

    A forbidden transition costs `FLOOR`, so that no loss becomes infinite.
    """
    mask, tags = chain.mask, tags.masked_fill(~chain.mask, 0)
    transitions, start, end = (weights.clamp(min=FLOOR) for weights in chain[1:4])
    emissions = chain.emissions.gather(-1, tags.unsqueeze(-1)).squeeze(-1)
    steps = transitions[tags[:, :-1], tags[:, 1:]]
    last = tags.gather(1, mask.sum(1, keepdim=True) - 1).squeeze(1)
    path_sum = emissions.masked_fill(~mask, 0.0).sum(1) + steps.masked_fill(~mask[:, 1:], 0.0).sum(1)
    return path_sum + start[tags[:, 0]] + end[last]


def log_partition(chain: Chain) -> Tensor:
    """Compute log Z with the forward algorithm, ``[batch]``."""
    return (_forward(chain)[-1] + chain.end).logsumexp(-1)


def log_marginals(chain: Chain) -> Tensor:
    """Compute log p(yₜ | x) with the forward-backward algorithm, ``[batch, words, tags]``.

    Values are at least `FLOOR`; padding gets the uniform distribution.
    """
    forward, backward = torch.stack(_forward(chain), 1), torch.stack(_backward(chain), 1)
    marginals = (forward + backward).log_softmax(-1).clamp(min=FLOOR)
    return marginals.masked_fill(~chain.mask.unsqueeze(-1), -math.log(chain.start.shape[0]))


def segment_log_probabilities(chain: Chain, path: Tensor, segments: Tensor, may_follow: Tensor) -> Tensor:
    """Compute the log-probability of each segment of ``path [batch, words]``, ``[segments]``.

    Sums over all paths that have the segment's tags on its words and one of ``may_follow [tags]`` (bool) on the next
    word, if there is one. Takes O(words · tags² + segments · tags) from one pair of forward and backward messages.

    Args:
        chain: Log-potentials of the batch.
        path: ``[batch, words]`` int64, the tag of each word.
        segments: ``[3, segments]`` int64: row, first word and end (exclusive) of each segment.
        may_follow: ``[tags]`` bool.
    """
    forward, backward = torch.stack(_forward(chain), 1), torch.stack(_backward(chain), 1)
    rows, starts, ends = segments.unbind()
    last = path[rows, ends - 1]
    steps = chain.emissions.gather(-1, path.unsqueeze(-1)).squeeze(-1)[:, 1:]
    steps = steps + chain.transitions[path[:, :-1], path[:, 1:]]
    cumulative = functional.pad(steps.masked_fill(~chain.mask[:, 1:], 0.0).cumsum(1), (1, 0))
    inside = forward[rows, starts, path[rows, starts]] + cumulative[rows, ends - 1] - cumulative[rows, starts]
    outgoing = (chain.emissions + backward).masked_fill(~may_follow, IMPOSSIBLE)
    outgoing = outgoing[rows, ends.clamp(max=path.shape[1] - 1)]
    after = (chain.transitions[last] + outgoing).logsumexp(-1)
    is_final = ends == chain.mask.sum(1)[rows]
    total = (forward[:, -1] + chain.end).logsumexp(-1)
    return inside + torch.where(is_final, chain.end[last], after) - total[rows]


def kl(p: Chain, q: Chain) -> Tensor:
    """Compute KL(p ‖ q) over whole paths, ``[batch]``, for two chains with the same mask.

        KL = log Z_q − log Z_p + E_p[s_p − s_q],   s: the score of a path

    The expectation is carried along p's forward recursion, as in the expectation semiring (Li and Eisner 2009):
    ``expected[tag]`` is the mean score difference of all prefixes that end in the tag. Takes O(words · tags²).
    """
    gaps, first_gap, last_gap = p.emissions - q.emissions, p.start - q.start, p.end - q.end
    forward, expected = p.start + p.emissions[:, 0], first_gap + gaps[:, 0]
    for word in range(1, p.mask.shape[1]):
        joint = forward.unsqueeze(-1) + p.transitions
        extended = (joint.softmax(1) * (expected.unsqueeze(-1) + (p.transitions - q.transitions))).sum(1)
        is_word = p.mask[:, word, None]
        forward = torch.where(is_word, joint.logsumexp(1) + p.emissions[:, word], forward)
        expected = torch.where(is_word, extended + gaps[:, word], expected)
    last = forward + p.end
    expected_gap = (last.softmax(-1) * (expected + last_gap)).sum(-1)
    return log_partition(q) - last.logsumexp(-1) + expected_gap


def viterbi(chain: Chain) -> Tensor:
    """Find the highest-scoring path (Viterbi 1967), ``[batch, words]`` int64, with 0 on padding.

    Ties are resolved from the last word backwards in favour of the lower tag.
    """
    emissions, transitions = chain.emissions.permute(1, 2, 0).contiguous(), chain.transitions.unsqueeze(-1)
    state = chain.start.unsqueeze(-1) + emissions[0]  # [tags, batch]
    states, backpointers = [state], []
    for emission in emissions[1:].unbind():
        state, previous = (state.unsqueeze(1) + transitions).max(0)
        states.append(state.add_(emission))
        backpointers.append(previous)
    last, rows = chain.mask.sum(1) - 1, torch.arange(len(chain.mask), device=state.device)
    tag = (torch.stack(states)[last, :, rows] + chain.end).argmax(-1)
    return _backtrack(backpointers, tag.unsqueeze(0), chain.mask).squeeze(0).masked_fill(~chain.mask, 0)


def k_best(chain: Chain, k: int) -> tuple[Tensor, Tensor]:
    """Find the ``k`` highest-scoring paths, best first, with the k-best extension of Viterbi.

    Returns:
        Paths ``[batch, k, words]`` int64, with 0 on padding, and scores ``[batch, k]``. If fewer paths are possible,
        the remaining ones have score -inf and tag 0 throughout.
    """
    first = (chain.start + chain.emissions[:, 0]).unsqueeze(-1)
    state = functional.pad(first, (0, k - 1), value=IMPOSSIBLE)  # [batch, tags, k]
    transitions, backpointers = chain.transitions.T.repeat_interleave(k, 1), []
    for emission, is_word in zip(chain.emissions.unbind(1)[1:], chain.mask.unbind(1)[1:], strict=True):
        scores, previous = _top_k(state.flatten(1).unsqueeze(1) + transitions, k)
        state = torch.where(is_word.view(-1, 1, 1), scores + emission.unsqueeze(-1), state)
        backpointers.append(previous.flatten(1).T)
    scores, slots = _top_k((state + chain.end.unsqueeze(-1)).flatten(1), k)
    is_possible = scores > IMPOSSIBLE / 2
    paths = _backtrack(backpointers, slots.T, chain.mask).div(k, rounding_mode="floor").transpose(0, 1)
    is_real = is_possible.unsqueeze(-1) & chain.mask.unsqueeze(1)
    return paths.masked_fill(~is_real, 0), scores.masked_fill(~is_possible, -math.inf)


def _forward(chain: Chain) -> list[Tensor]:
    """Compute the forward messages log α, one ``[batch, tags]`` for each word; padding repeats the last word's."""
    emissions, mask = chain.emissions.unbind(1), chain.mask.unsqueeze(-1).unbind(1)
    states = [chain.start + emissions[0]]
    for emission, is_word in zip(emissions[1:], mask[1:], strict=True):
        state = (states[-1].unsqueeze(-1) + chain.transitions).logsumexp(1) + emission
        states.append(torch.where(is_word, state, states[-1]))
    return states


def _backward(chain: Chain) -> list[Tensor]:
    """Compute the backward messages log β, one ``[batch, tags]`` for each word; padding has ``end``."""
    emissions, mask = chain.emissions.unbind(1), chain.mask.unsqueeze(-1).unbind(1)
    states = [chain.end.expand_as(emissions[0])]
    for emission, is_word in zip(emissions[:0:-1], mask[:0:-1], strict=True):
        state = ((states[-1] + emission).unsqueeze(1) + chain.transitions).logsumexp(-1)
        states.append(torch.where(is_word, state, states[-1]))
    return states[::-1]


def _top_k(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the ``k`` highest values of the last dimension and their indices; ties keep their order."""
    values, indices = scores.sort(descending=True, stable=True)
    return values[..., :k], indices[..., :k]


def _backtrack(backpointers: list[Tensor], last: Tensor, mask: Tensor) -> Tensor:
    """Follow backpointers from the last word to the first.

    Args:
        backpointers: For each word after the first, the best previous state of each state, ``[states, batch]``;
            ignored on padding.
        last: ``[paths, batch]``, the state of the last word.
        mask: ``[batch, words]``.

    Returns:
        States ``[paths, batch, words]``.
    """
    path = [last]
    if backpointers:
        stay = torch.arange(len(backpointers[0]), device=mask.device).unsqueeze(-1)
        for previous in reversed(torch.where(mask.T[1:].unsqueeze(1), torch.stack(backpointers), stay).unbind()):
            path.append(previous.gather(0, path[-1]))
    return torch.stack(path[::-1], -1)
