"""Linear-chain conditional random field: likelihood, marginals, divergence and decoding."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from cotpd.student.crf import log_space, scaled_space
from cotpd.student.crf.log_space import IMPOSSIBLE, Chain

_INITIAL_RANGE = 0.1
"""Weights are initialised uniformly between minus and plus this value."""


class LinearChainCRF(nn.Module):
    """Linear-chain conditional random field (Lafferty et al. 2001) with hard transition constraints.

        p(y | x) = exp(s(y)) / Z,   s(y) = start[y₁] + Σ emissions[t, yₜ] + Σ transitions[yₜ₋₁, yₜ] + end[yₙ]

    All methods take

    - ``emissions [batch, words, tags]``: any floating-point type;
    - ``mask [batch, words]``: bool, True on words. Padding follows the words, and its values are ignored.

    Sums are computed in float64 (float32 on devices without float64) even under autocast. Results are float64 if the
    emissions are, and float32 otherwise.

    Args:
        allowed: ``[tags + 2, tags + 2]`` bool, True if the column's tag may follow the row's. The last two rows and
            columns stand for the start and the end of a sequence (see `LabelSet.allowed_transitions`). Forbidden
            transitions have probability 0.

    Raises:
        ValueError: From every method, if the shapes do not match or if a row of the mask has no words or has gaps.
            The values of the mask are not checked while the model is compiled or exported.
    """

    allowed: Tensor

    def __init__(self, allowed: np.ndarray) -> None:
        super().__init__()
        num_tags = len(allowed) - 2
        self.transitions = nn.Parameter(torch.empty(num_tags, num_tags))
        self.start = nn.Parameter(torch.empty(num_tags))
        self.end = nn.Parameter(torch.empty(num_tags))
        self.register_buffer("allowed", torch.from_numpy(allowed.astype(bool)), persistent=False)
        self._mixing_length = _mixing_length(allowed[:num_tags, :num_tags].astype(bool))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise all weights uniformly in [-0.1, 0.1]."""
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -_INITIAL_RANGE, _INITIAL_RANGE)

    def log_partition(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """Compute the log partition function log Z, ``[batch]``."""
        return _match_dtype(_log_partition(self._chain(emissions, mask)), emissions)

    def constrained_log_partition(self, emissions: Tensor, mask: Tensor, allowed_tags: Tensor) -> Tensor:
        """Compute log Z over the paths that use only ``allowed_tags [batch, words, tags]`` (bool), ``[batch]``.

        Subtract `log_partition` to get the log-probability of the constraint. `segment_log_probabilities` is faster
        for many spans of one sequence.
        """
        return self.log_partition(constrain(emissions, allowed_tags), mask)

    def score(self, emissions: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        """Compute the unnormalised score s(y) of the paths ``tags [batch, words]``, ``[batch]``.

        Each forbidden transition contributes -10,000.
        """
        return _match_dtype(log_space.score(self._chain(emissions, mask), tags), emissions)

    def nll(self, emissions: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        """Compute the negative log-likelihood -log p(tags | x), ``[batch]``.

        Each forbidden transition adds 10,000, so the loss stays finite.
        """
        chain = self._chain(emissions, mask)
        return _match_dtype(_log_partition(chain) - log_space.score(chain, tags), emissions)

    def log_marginals(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """Compute the log-marginals log p(yₜ | x), ``[batch, words, tags]``; differentiable.

        Values are clamped to at least -10,000. Padding gets the uniform distribution, so that every row of
        probabilities sums to 1 and the divergence between two paddings is 0.
        """
        return _match_dtype(_log_marginals(self._chain(emissions, mask)), emissions)

    def kl(self, p_emissions: Tensor, q_emissions: Tensor, mask: Tensor, p_crf: LinearChainCRF | None = None) -> Tensor:
        """Compute KL(p ‖ q) between two distributions over whole paths, ``[batch]``; differentiable in both.

        The result is about 1e30 if q gives probability 0 to a path that p allows.

        Args:
            p_emissions: Emissions of p.
            q_emissions: Emissions of q.
            mask: Mask of both.
            p_crf: CRF with the transition weights of p. By default p and q share the weights of this CRF.
        """
        p, q = (p_crf or self)._chain(p_emissions, mask), self._chain(q_emissions, mask)
        is_scalable = p_crf in (None, self) and scaled_space.can_represent(p) and scaled_space.can_represent(q)
        return _match_dtype(scaled_space.kl(p, q) if is_scalable else log_space.kl(p, q), q_emissions)

    def kl_detached(self, p_emissions: Tensor, q_emissions: Tensor, mask: Tensor) -> Tensor:
        """Compute `kl` with a stop-gradient on p, ``[batch]``; p and q share the weights of this CRF."""
        p, q = self._chain(p_emissions.detach(), mask), self._chain(q_emissions, mask)
        if scaled_space.can_represent(p) and scaled_space.can_represent(q):
            return _match_dtype(scaled_space.kl_detached(p, q), q_emissions)
        detached = p._replace(transitions=p.transitions.detach(), start=p.start.detach(), end=p.end.detach())
        return _match_dtype(log_space.kl(detached, q), q_emissions)

    @torch.no_grad()
    def viterbi(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """Find the most probable path, ``[batch, words]`` int64, with 0 on padding.

        Ties are resolved from the last word backwards in favour of the lower tag.
        """
        return log_space.viterbi(self._chain(emissions, mask))

    @torch.no_grad()
    def segment_log_probabilities(
        self, emissions: Tensor, mask: Tensor, path: Tensor, segments: Tensor, may_follow: Tensor
    ) -> Tensor:
        """Compute the log-probability of each segment of a path, ``[segments]``.

        This is the probability that the words of the segment have the tags of the path and that the word after the
        segment, if there is one, has one of the tags in ``may_follow``.

        Args:
            emissions: Emissions of the batch.
            mask: Mask of the batch.
            path: ``[batch, words]`` int64, the tag of each word.
            segments: ``[3, segments]`` int64: row, first word and end (exclusive) of each segment.
            may_follow: ``[tags]`` bool.
        """
        chain = self._chain(emissions, mask)
        return _match_dtype(log_space.segment_log_probabilities(chain, path, segments, may_follow), emissions)

    @torch.no_grad()
    def k_best(self, emissions: Tensor, mask: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Find the ``k`` most probable paths, best first.

        Returns:
            The paths ``[batch, k, words]`` int64, with 0 on padding, and their scores ``[batch, k]``. If fewer than
            ``k`` paths are possible, the remaining scores are -inf.

        Raises:
            ValueError: If ``k`` is less than 1.
        """
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        paths, scores = log_space.k_best(self._chain(emissions, mask), k)
        return paths, _match_dtype(scores, emissions)

    def extra_repr(self) -> str:
        """Return the number of tags for ``repr``."""
        return f"tags={len(self.start)}"

    def _chain(self, emissions: Tensor, mask: Tensor) -> Chain:
        """Build the log-potentials of a batch. Raises ValueError if emissions and mask do not match."""
        _check(emissions, mask, num_tags=len(self.start))
        dtype = torch.float32 if emissions.device.type == "mps" else torch.float64
        exact = emissions.to(dtype).masked_fill(~mask.unsqueeze(-1), 0.0).clamp(min=IMPOSSIBLE)
        return Chain(
            exact,
            self.transitions.to(dtype).masked_fill(~self.allowed[:-2, :-2], IMPOSSIBLE),
            self.start.to(dtype).masked_fill(~self.allowed[-2, :-2], IMPOSSIBLE),
            self.end.to(dtype).masked_fill(~self.allowed[:-2, -1], IMPOSSIBLE),
            mask,
            self._mixing_length,
            math.inf if torch.compiler.is_compiling() else self._score_range(exact.detach(), mask),
        )

    def _score_range(self, emissions: Tensor, mask: Tensor) -> float:
        """Compute ``Chain.score_range`` and check the mask.

        Both are read in one transfer because this is the only place that waits for the device.
        """
        invalid = ~mask[:, 0].all() | (mask[:, 1:] & ~mask[:, :-1]).any()
        lowest, highest = emissions.aminmax(dim=-1)
        spread = (highest - lowest).amax()
        largest = torch.cat([weights.detach().flatten() for weights in self.parameters()]).abs().amax()
        is_invalid, score_range = torch.stack([invalid.to(spread), spread + 2 * largest]).tolist()
        if is_invalid:
            raise ValueError("each row of the mask must be True on at least one word, with all padding at the end")
        return float(score_range)


def constrain(emissions: Tensor, allowed_tags: Tensor) -> Tensor:
    """Mask emissions so that only ``allowed_tags [batch, words, tags]`` (bool) are possible.

    The result, float32 or float64, can be passed to any method of `LinearChainCRF`. If a word has no allowed tag,
    every path of its row is impossible.
    """
    exact = emissions if emissions.dtype == torch.float64 else emissions.float()
    return exact.masked_fill(~allowed_tags, IMPOSSIBLE)


def _mixing_length(allowed: np.ndarray) -> float:
    """Return the index of primitivity of ``allowed [tags, tags]`` (bool).

    This is the smallest number of transitions, at least one, that can lead from any tag to any other; infinity if
    there is none.
    """
    reachable = np.eye(len(allowed), dtype=bool)
    for length in range(1, len(allowed) ** 2 + 1):
        reachable = reachable @ allowed
        if reachable.all():
            return length
    return math.inf


def _log_partition(chain: Chain) -> Tensor:
    return scaled_space.log_partition(chain) if scaled_space.can_represent(chain) else log_space.log_partition(chain)


def _log_marginals(chain: Chain) -> Tensor:
    return scaled_space.log_marginals(chain) if scaled_space.can_represent(chain) else log_space.log_marginals(chain)


def _check(emissions: Tensor, mask: Tensor, *, num_tags: int) -> None:
    """Raise ValueError if the shapes or types of emissions and mask are wrong."""
    if emissions.dim() != 3 or emissions.shape[-1] != num_tags or mask.shape != emissions.shape[:2]:
        raise ValueError(
            f"expected emissions [batch, words, {num_tags}] and a mask [batch, words], "
            f"got {list(emissions.shape)} and {list(mask.shape)}"
        )
    if mask.dtype != torch.bool or not mask.numel():
        raise ValueError(f"expected a bool mask with at least one word, got {mask.dtype} {list(mask.shape)}")


def _match_dtype(result: Tensor, emissions: Tensor) -> Tensor:
    return result if emissions.dtype == torch.float64 else result.float()
