"""The conditional random field over the tags of a post's words: likelihood, marginals, divergence, best paths."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from cotpd.student.crf import log_space as chains
from cotpd.student.crf import scaled_space as scaled
from cotpd.student.crf.log_space import IMPOSSIBLE, Chain

_SPREAD = 0.1
"""Initial weights are drawn between minus and plus this."""


class LinearChainCRF(nn.Module):
    """A linear-chain CRF (Lafferty et al. 2001) whose scheme's forbidden transitions cannot happen.

        p(y | x) = exp(s(y)) / Z,   s(y) = start[y₁] + Σ emissions[t, yₜ] + Σ transitions[yₜ₋₁, yₜ] + end[yₙ]

    ``allowed [tags + 2, tags + 2]`` bool: may column follow row, the last two standing for start and end
    (`LabelSet.allowed_transitions`). Every method takes ``emissions [batch, words, tags]`` of any floating type and
    ``mask [batch, words]`` bool, true on words; what stands on padding is not read. All sums run in float64 (float32
    where a device has no float64) whatever autocast says; results are float32, or float64 for float64 emissions.

    Raises ValueError for shapes that do not fit and for a mask with a row without words or with holes; while
    compiling or exporting the mask is not looked at.
    """

    allowed: Tensor

    def __init__(self, allowed: np.ndarray) -> None:
        super().__init__()
        num_tags = len(allowed) - 2
        self.transitions = nn.Parameter(torch.empty(num_tags, num_tags))
        self.start = nn.Parameter(torch.empty(num_tags))
        self.end = nn.Parameter(torch.empty(num_tags))
        self.register_buffer("allowed", torch.from_numpy(allowed.astype(bool)), persistent=False)
        self._reach = _reach(allowed[:num_tags, :num_tags].astype(bool))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw small weights, uniform."""
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -_SPREAD, _SPREAD)

    def log_partition(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """log Z, ``[batch]``."""
        return _like(emissions, _log_partition(self._chain(emissions, mask)))

    def constrained_log_partition(self, emissions: Tensor, mask: Tensor, allowed_tags: Tensor) -> Tensor:
        """log Z over the paths that keep to ``allowed_tags [batch, words, tags]`` bool, ``[batch]``.

        Minus `log_partition` it is the log-probability that the constraint holds; for many spans `segments` is faster.
        """
        return self.log_partition(constrain(emissions, allowed_tags), mask)

    def score(self, emissions: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        """s(y) of the paths ``tags [batch, words]``, ``[batch]``; a forbidden transition costs 10,000."""
        return _like(emissions, chains.score(self._chain(emissions, mask), tags))

    def nll(self, emissions: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        """−log p(tags | x), ``[batch]``; a forbidden transition costs 10,000."""
        chain = self._chain(emissions, mask)
        return _like(emissions, _log_partition(chain) - chains.score(chain, tags))

    def log_marginals(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """log p(yₜ | x) of every word and tag, ``[batch, words, tags]``, differentiable.

        At least −10,000, where it is constant; on padding that of a uniform distribution, so that exp() of any row
        sums to 1 and the divergence between two paddings is 0.
        """
        return _like(emissions, _log_marginals(self._chain(emissions, mask)))

    def kl(self, p_emissions: Tensor, q_emissions: Tensor, mask: Tensor, p_crf: LinearChainCRF | None = None) -> Tensor:
        """KL(p ‖ q) between two distributions over whole paths, ``[batch]``, differentiable in both.

        q has this CRF's weights, p those of ``p_crf`` or the same. About 1e30 where q cannot do what p may.
        """
        p, q = (p_crf or self)._chain(p_emissions, mask), self._chain(q_emissions, mask)
        shared = p_crf in (None, self) and scaled.fits(p) and scaled.fits(q)
        return _like(q_emissions, scaled.divergence(p, q) if shared else chains.divergence(p, q))

    def kl_of_held(self, p_emissions: Tensor, q_emissions: Tensor, mask: Tensor) -> Tensor:
        """`kl` of two distributions with this CRF's weights, ``[batch]``, whose gradient is that of q alone."""
        p, q = self._chain(p_emissions.detach(), mask), self._chain(q_emissions, mask)
        if scaled.fits(p) and scaled.fits(q):
            return _like(q_emissions, scaled.divergence_of_held(p, q))
        held = p._replace(transitions=p.transitions.detach(), start=p.start.detach(), end=p.end.detach())
        return _like(q_emissions, chains.divergence(held, q))

    @torch.no_grad()
    def viterbi(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """The likeliest path, ``[batch, words]`` int64; 0 on padding. Ties go to the lower tag, last word first."""
        return chains.best_path(self._chain(emissions, mask))

    @torch.no_grad()
    def segments(self, emissions: Tensor, mask: Tensor, path: Tensor, places: Tensor, behind: Tensor) -> Tensor:
        """log p that the words of each segment have its tags and the word behind, if any, one of some, ``[segments]``.

        ``path [batch, words]`` int64 has the tags; ``places [3, segments]`` int64 tells row, first word and end
        (exclusive); ``behind [tags]`` bool, which tags may follow.
        """
        return _like(emissions, chains.segments(self._chain(emissions, mask), path, places, behind))

    @torch.no_grad()
    def k_best(self, emissions: Tensor, mask: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """The ``k`` likeliest paths, best first: ``[batch, k, words]`` int64, 0 on padding, and scores ``[batch, k]``.

        Where fewer than ``k`` paths are possible the rest have score −inf. Raises ValueError for ``k`` below 1.
        """
        if k < 1:
            raise ValueError(f"k must be at least 1, not {k}")
        paths, scores = chains.best_paths(self._chain(emissions, mask), k)
        return paths, _like(emissions, scores)

    def extra_repr(self) -> str:
        """The number of tags."""
        return f"tags={len(self.start)}"

    def _chain(self, emissions: Tensor, mask: Tensor) -> Chain:
        """The log-weights as the recursions take them. Raises ValueError where emissions and mask do not fit."""
        _check(emissions, mask, num_tags=len(self.start))
        dtype = torch.float32 if emissions.device.type == "mps" else torch.float64
        exact = emissions.to(dtype).masked_fill(~mask.unsqueeze(-1), 0.0).clamp(min=IMPOSSIBLE)
        return Chain(
            exact,
            self.transitions.to(dtype).masked_fill(~self.allowed[:-2, :-2], IMPOSSIBLE),
            self.start.to(dtype).masked_fill(~self.allowed[-2, :-2], IMPOSSIBLE),
            self.end.to(dtype).masked_fill(~self.allowed[:-2, -1], IMPOSSIBLE),
            mask,
            self._reach,
            math.inf if torch.compiler.is_compiling() else self._step(exact.detach(), mask),
        )

    def _step(self, emissions: Tensor, mask: Tensor) -> float:
        """The `Chain`'s step; ValueError for a mask that cannot be. The one place where a value is waited for."""
        wrong = ~mask[:, 0].all() | (mask[:, 1:] & ~mask[:, :-1]).any()
        lowest, highest = emissions.aminmax(dim=-1)
        spread = (highest - lowest).amax()
        largest = torch.cat([weights.detach().flatten() for weights in self.parameters()]).abs().amax()
        is_wrong, step = torch.stack([wrong.to(spread), spread + 2 * largest]).tolist()
        if is_wrong:
            raise ValueError("the mask must be true on each row's first words and false behind them, without holes")
        return float(step)


def constrain(emissions: Tensor, allowed_tags: Tensor) -> Tensor:
    """Emissions under which only ``allowed_tags [batch, words, tags]`` can happen, for any method of a CRF.

    float32 at least; a word without an allowed tag makes every path of its row impossible.
    """
    exact = emissions if emissions.dtype == torch.float64 else emissions.float()
    return exact.masked_fill(~allowed_tags, IMPOSSIBLE)


def _reach(allowed: np.ndarray) -> float:
    """In how many steps, at least one, any tag can follow any other; infinite if there is no such number."""
    steps = np.eye(len(allowed), dtype=bool)
    for length in range(1, len(allowed) ** 2 + 1):
        steps = steps @ allowed
        if steps.all():
            return length
    return math.inf


def _log_partition(chain: Chain) -> Tensor:
    return scaled.log_partition(chain) if scaled.fits(chain) else chains.log_partition(chain)


def _log_marginals(chain: Chain) -> Tensor:
    return scaled.log_marginals(chain) if scaled.fits(chain) else chains.log_marginals(chain)


def _check(emissions: Tensor, mask: Tensor, *, num_tags: int) -> None:
    """Raise ValueError where shapes or types do not fit."""
    if emissions.dim() != 3 or emissions.shape[-1] != num_tags or mask.shape != emissions.shape[:2]:
        raise ValueError(f"emissions {list(emissions.shape)} and mask {list(mask.shape)} do not fit {num_tags} tags")
    if mask.dtype != torch.bool or not mask.numel():
        raise ValueError("the mask must be bool and hold at least one word")


def _like(emissions: Tensor, result: Tensor) -> Tensor:
    return result if emissions.dtype == torch.float64 else result.float()
