"""The CRF agrees with sums over every path, with finite differences, and between its two recursions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from copy import deepcopy
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pytest
import torch
import torchcrf
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cotpd.core.labels import LabelSet
from cotpd.student.crf import scaled_space
from cotpd.student.crf.linear_chain import LinearChainCRF, constrain
from cotpd.student.crf.log_space import FLOOR

SCHEMES = {
    "BIO, 1 type": LabelSet.of(["A"]).allowed_transitions(),
    "BIO, 2 types": LabelSet.of(["A", "B"]).allowed_transitions(),
    "BIOES": LabelSet.of(["A"], "BIOES").allowed_transitions(),
    "unconstrained": np.ones((6, 6), dtype=bool),
    "ring": np.block([[np.roll(np.eye(3, dtype=bool), 1, 1), np.ones((3, 2), bool)], [np.ones((2, 5), bool)]]),
}
"""The ring is periodic: no number of transitions leads from any tag to any other, so it is never scaled."""


class Case(NamedTuple):
    """A float64 CRF and a batch for it."""

    crf: LinearChainCRF
    emissions: Tensor
    mask: Tensor


class Paths(NamedTuple):
    """Every possible path of one row: ``tags [paths, words]`` in lexicographic order, and scores ``[paths]``."""

    tags: Tensor
    scores: Tensor


def make_crf(allowed: np.ndarray, *, scale: float = 1.0, seed: int = 1) -> LinearChainCRF:
    crf = LinearChainCRF(allowed).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weights in crf.parameters():
            weights.copy_(scale * torch.randn(weights.shape, generator=generator, dtype=torch.float64))
    return crf


def make_case(allowed: np.ndarray, lengths: list[int], *, scale: float = 1.0, seed: int = 1) -> Case:
    crf, generator = make_crf(allowed, seed=seed), torch.Generator().manual_seed(seed + 1)
    shape = (len(lengths), max(lengths), len(allowed) - 2)
    emissions = scale * torch.randn(shape, generator=generator, dtype=torch.float64)
    return Case(crf, emissions, torch.arange(shape[1]) < torch.tensor(lengths).unsqueeze(1))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    allowed = SCHEMES[draw(st.sampled_from(sorted(SCHEMES)))]
    lengths = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    scale = draw(st.sampled_from([0.0, 1.0, 8.0, 20.0, 300.0]))
    return make_case(allowed, lengths, scale=scale, seed=draw(st.integers(0, 1000)))


def all_paths(case: Case, *, emissions: Tensor | None = None, crf: LinearChainCRF | None = None) -> Iterator[Paths]:
    """Enumerate the possible paths of each row of a batch."""
    crf, emissions = crf or case.crf, case.emissions if emissions is None else emissions
    for row, length in zip(emissions, case.mask.sum(1).tolist(), strict=True):
        tags = torch.cartesian_prod(*[torch.arange(row.shape[1])] * length).view(-1, length)
        start, end = torch.full((len(tags), 1), -2), torch.full((len(tags), 1), -1)
        walk = torch.cat([start, tags, end], 1)
        tags = tags[crf.allowed[walk[:, :-1], walk[:, 1:]].all(1)]
        scores = crf.start[tags[:, 0]] + crf.end[tags[:, -1]] + row[torch.arange(length), tags].sum(1)
        yield Paths(tags, (scores + crf.transitions[tags[:, :-1], tags[:, 1:]].sum(1)).detach())


def marginals_of(paths: Paths, num_tags: int) -> Tensor:
    """Compute marginals ``[words, tags]`` from enumerated paths."""
    one_hot = torch.nn.functional.one_hot(paths.tags, num_tags)
    return (paths.scores.softmax(0).view(-1, 1, 1) * one_hot).sum(0)


def disable_scaling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaled_space, "can_represent", lambda chain: False)


@pytest.fixture(params=["scaled", "log space"])
def recursion(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test with each of the two recursions."""
    if request.param == "log space":
        disable_scaling(monkeypatch)
    return str(request.param)


def value_and_gradients(case: Case, loss: Callable[[Tensor], Tensor]) -> tuple[Tensor, ...]:
    """Compute a loss of the emissions, and its gradients by the emissions and by the weights."""
    emissions = case.emissions.clone().requires_grad_()
    value = loss(emissions)
    return value.detach(), *torch.autograd.grad(value.sum(), (emissions, *case.crf.parameters()))


@settings(max_examples=60, deadline=None)
@given(cases())
def test_log_partition_and_marginals_equal_sums_over_all_paths(case: Case) -> None:
    partitions = case.crf.log_partition(case.emissions, case.mask)
    marginals = case.crf.log_marginals(case.emissions, case.mask).exp()
    for row, paths in enumerate(all_paths(case)):
        expected = marginals_of(paths, marginals.shape[-1])
        torch.testing.assert_close(partitions[row], paths.scores.logsumexp(0))
        torch.testing.assert_close(marginals[row, : len(expected)], expected, atol=1e-9, rtol=1e-6)
    torch.testing.assert_close(marginals.sum(-1), torch.ones_like(marginals[..., 0]))  # including padding


@settings(max_examples=60, deadline=None)
@given(cases(), st.integers(1, 40))
def test_viterbi_and_k_best_return_the_highest_scoring_paths(case: Case, k: int) -> None:
    best = case.crf.viterbi(case.emissions, case.mask)
    tags, scores = case.crf.k_best(case.emissions, case.mask, k)
    torch.testing.assert_close(best, tags[:, 0])
    for row, paths in enumerate(all_paths(case)):
        count, length = min(k, len(paths.scores)), paths.tags.shape[1]
        ranked = paths.scores.sort(descending=True).values[:count]
        torch.testing.assert_close(scores[row, :count], ranked)
        returned, possible = tags[row, :count, :length].tolist(), paths.tags.tolist()
        assert len({*map(tuple, returned)}) == count, "a path was returned twice"
        torch.testing.assert_close(paths.scores[[possible.index(path) for path in returned]], ranked)
        assert (scores[row, count:] == -math.inf).all(), "an impossible path must not look like a possible one"
        assert not tags[row, count:].any()
        assert not tags[row, :, length:].any()


@settings(max_examples=40, deadline=None)
@given(cases(), st.integers(0, 1000))
def test_constraint_restricts_partition_and_marginals_to_matching_paths(case: Case, seed: int) -> None:
    allowed_tags = torch.rand(case.emissions.shape, generator=torch.Generator().manual_seed(seed)) < 0.7
    constrained = case.crf.constrained_log_partition(case.emissions, case.mask, allowed_tags)
    probabilities = (constrained - case.crf.log_partition(case.emissions, case.mask)).exp()
    marginals = case.crf.log_marginals(constrain(case.emissions, allowed_tags), case.mask).exp()
    for row, paths in enumerate(all_paths(case)):
        words = torch.arange(paths.tags.shape[1])
        matches = allowed_tags[row][words, paths.tags].all(1)
        torch.testing.assert_close(probabilities[row], paths.scores.softmax(0)[matches].sum(), atol=1e-9, rtol=1e-6)
        if matches.any():
            expected = marginals_of(Paths(paths.tags[matches], paths.scores[matches]), marginals.shape[-1])
            torch.testing.assert_close(marginals[row, : len(words)], expected, atol=1e-9, rtol=1e-6)


@settings(max_examples=40, deadline=None)
@given(cases(), st.data())
def test_segment_probability_equals_sum_over_matching_paths(case: Case, data: st.DataObject) -> None:
    num_tags = case.emissions.shape[-1]
    may_follow = torch.tensor(data.draw(st.lists(st.booleans(), min_size=num_tags, max_size=num_tags)))
    path = torch.zeros(case.mask.shape, dtype=torch.long)
    segments, expected = [], []
    for row, paths in enumerate(all_paths(case)):
        path[row, : paths.tags.shape[1]] = chosen = paths.tags[data.draw(st.integers(0, len(paths.tags) - 1))]
        for start, end in combinations(range(len(chosen) + 1), 2):
            matches = (paths.tags[:, start:end] == chosen[start:end]).all(1)
            if end < len(chosen):
                matches &= may_follow[paths.tags[:, end]]
            segments.append((row, start, end))
            expected.append(paths.scores.softmax(0)[matches].sum())
    computed = case.crf.segment_log_probabilities(case.emissions, case.mask, path, torch.tensor(segments).T, may_follow)
    torch.testing.assert_close(computed.exp(), torch.stack(expected), atol=1e-9, rtol=1e-9)


def test_segment_probabilities_of_long_sequences_are_accurate() -> None:
    """As a difference of two float32 sums they were off by 3e-4 at 500 words."""
    crf, emissions, mask = make_case(SCHEMES["BIO, 2 types"], [500, 300], scale=8.0)
    crf, emissions = crf.float(), emissions.float()
    path, may_follow = crf.viterbi(emissions, mask), torch.ones(5, dtype=torch.bool)
    segments = torch.tensor([(row, word, word + 1) for row in (0, 1) for word in range(250)]).T
    marginals = crf.log_marginals(emissions.double(), mask).exp()
    expected = marginals[segments[0], segments[1], path[segments[0], segments[1]]]
    computed = crf.segment_log_probabilities(emissions, mask, path, segments, may_follow)
    torch.testing.assert_close(computed.exp().double(), expected, atol=1e-6, rtol=0)


@settings(max_examples=60, deadline=None)
@given(cases(), st.booleans(), st.integers(0, 1000))
def test_kl_equals_divergence_over_all_paths(case: Case, is_same_crf: bool, seed: int) -> None:
    p_crf = None if is_same_crf else make_crf(case.crf.allowed.numpy(), seed=seed + 2)
    p_emissions = case.emissions.roll(1, -1)
    divergence = case.crf.kl(p_emissions, case.emissions, case.mask, p_crf)
    pairs = zip(all_paths(case, emissions=p_emissions, crf=p_crf), all_paths(case), strict=True)
    for row, (p, q) in enumerate(pairs):
        gap = p.scores.log_softmax(0) - q.scores.log_softmax(0)
        torch.testing.assert_close(divergence[row], (p.scores.softmax(0) * gap).sum(), atol=1e-7, rtol=1e-6)


@settings(max_examples=40, deadline=None)
@given(cases(), st.sampled_from([0.0, 1.0]))
def test_detached_kl_equals_kl_and_has_no_gradient_in_the_target(case: Case, scale: float) -> None:
    p_emissions = (scale * case.emissions.roll(1, -1)).requires_grad_()
    q_emissions = case.emissions.clone().requires_grad_()
    detached = case.crf.kl_detached(p_emissions, q_emissions, case.mask)
    expected = case.crf.kl(p_emissions.detach(), q_emissions, case.mask)
    torch.testing.assert_close(detached, expected, atol=1e-7, rtol=1e-6)
    both = torch.autograd.grad(expected.sum(), q_emissions)[0]
    mine, none = torch.autograd.grad(detached.sum(), [q_emissions, p_emissions], allow_unused=True)
    assert none is None
    torch.testing.assert_close(mine, both, atol=1e-7, rtol=1e-6)


def test_gradients_equal_finite_differences(recursion: str) -> None:
    crf, emissions, mask = make_case(SCHEMES["BIOES"], [3, 1])
    assert scaled_space.can_represent(crf._chain(emissions, mask)) == (recursion == "scaled")
    tags, weights = crf.viterbi(emissions, mask), tuple(crf.parameters())
    other = emissions.roll(1, -1).requires_grad_()

    def check(function: Callable[[Tensor], Tensor]) -> None:
        assert torch.autograd.gradcheck(lambda x, *_: function(x), (emissions.requires_grad_(), *weights))

    check(lambda x: crf.log_partition(x, mask))
    check(lambda x: crf.nll(x, tags, mask))
    check(lambda x: crf.log_marginals(x, mask).clamp(min=FLOOR / 2))
    check(lambda x: crf.kl(other, x, mask))
    check(lambda x: crf.kl(x, other, mask))


@pytest.mark.parametrize("scheme", ["BIO, 2 types", "BIOES", "unconstrained"])
@pytest.mark.parametrize(("scale", "transition"), [(0.1, -20.0), (0.1, 20.0), (15.0, 0.0)])
def test_both_recursions_agree_on_long_sequences(
    scheme: str, scale: float, transition: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long sequences need rescaling, which must happen in time and cancel in values and gradients."""
    case = make_case(SCHEMES[scheme], [90, 64, 3, 1], scale=scale)
    torch.nn.init.constant_(case.crf.transitions, transition)
    weights = torch.randn(case.emissions.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    losses: list[Callable[[Tensor], Tensor]] = [
        lambda x: case.crf.log_partition(x, case.mask) * torch.arange(1, 5),
        lambda x: case.crf.log_marginals(x, case.mask) * weights,
        lambda x: case.crf.kl(x.flip(-1), x, case.mask),
        lambda x: case.crf.kl_detached(x.flip(-1), x, case.mask),
    ]
    frozen = deepcopy(case.crf).requires_grad_(False)
    expected = value_and_gradients(case, lambda x: case.crf.kl(x.flip(-1).detach(), x, case.mask, frozen))
    torch.testing.assert_close(value_and_gradients(case, losses[-1]), expected, atol=1e-8, rtol=1e-8)
    assert scaled_space.can_represent(case.crf._chain(case.emissions, case.mask))
    scaled = [value_and_gradients(case, loss) for loss in losses]
    disable_scaling(monkeypatch)
    torch.testing.assert_close(scaled, [value_and_gradients(case, loss) for loss in losses], atol=1e-8, rtol=1e-8)


def test_likelihood_equals_that_of_pytorch_crf() -> None:
    case = make_case(SCHEMES["unconstrained"], [7, 7, 4])
    tags = torch.randint(4, case.mask.shape, generator=torch.Generator().manual_seed(1))
    peer = torchcrf.CRF(4, batch_first=True).double()
    names = ("transitions", "start_transitions", "end_transitions")
    peer.load_state_dict(dict(zip(names, case.crf.parameters(), strict=True)))
    expected = -peer(case.emissions, tags, mask=case.mask, reduction="none")
    torch.testing.assert_close(case.crf.nll(case.emissions, tags, case.mask), expected)


@pytest.mark.parametrize("length", [1, 2, 512])
@pytest.mark.parametrize(("magnitude", "dtype"), [(0.0, torch.bfloat16), (1e4, torch.float32)])
def test_results_are_finite_for_extreme_lengths_and_emissions(
    length: int, magnitude: float, dtype: torch.dtype
) -> None:
    crf, mask = LinearChainCRF(SCHEMES["BIOES"]), torch.ones(2, length, dtype=torch.bool)
    signs = torch.randn(2, length, 5, generator=torch.Generator().manual_seed(1)).sign()
    emissions = (magnitude * signs).to(dtype).requires_grad_()
    tags = torch.zeros(2, length, dtype=torch.long)
    losses = [crf.nll(emissions, tags, mask), crf.kl(emissions.flip(-1), emissions, mask)]
    losses.append(crf.log_marginals(emissions, mask).exp())
    assert all(loss.dtype == torch.float32 and loss.isfinite().all() and (loss >= 0).all() for loss in losses)
    sum(loss.sum() for loss in losses).backward()
    assert all(x.grad is not None and x.grad.isfinite().all() for x in (emissions, *crf.parameters()))
    assert_allowed(crf, crf.viterbi(emissions, mask))
    assert_allowed(crf, crf.k_best(emissions, mask, 2)[0][:, 0])


def assert_allowed(crf: LinearChainCRF, paths: Tensor) -> None:
    walks = torch.nn.functional.pad(paths, (1, 1), value=-2)
    walks[:, -1] = -1
    assert crf.allowed[walks[:, :-1], walks[:, 1:]].all()


def test_autocast_does_not_change_results() -> None:
    """pytorch-crf is 13 % off under bfloat16 autocast, because sums over many words lose their last digits."""
    crf = LinearChainCRF(SCHEMES["BIO, 2 types"])
    emissions, mask = torch.randn(4, 60, 5), torch.ones(4, 60, dtype=torch.bool)
    tags = crf.viterbi(torch.randn(4, 60, 5), mask)

    def results(x: Tensor) -> list[Tensor]:
        loss = crf.nll(x, tags, mask) + crf.log_marginals(x, mask).exp()[..., 0].sum(1) + crf.kl(x.flip(-1), x, mask)
        return [loss, *torch.autograd.grad(loss.sum(), tuple(crf.parameters()))]

    plain, rounded = results(emissions), results(emissions.bfloat16().float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(results(emissions), plain, atol=0, rtol=0)
        torch.testing.assert_close(results(emissions.bfloat16()), rounded, atol=0, rtol=0)


@pytest.mark.usefixtures("recursion")
def test_padding_is_ignored() -> None:
    crf, emissions, mask = make_case(SCHEMES["BIO, 2 types"], [6, 3, 1])
    padded, unpadded = emissions.masked_fill(~mask.unsqueeze(-1), math.nan).requires_grad_(), emissions[1:2, :3]
    tags = crf.viterbi(padded, mask)
    torch.testing.assert_close(tags[1:2, :3], crf.viterbi(unpadded, mask[1:2, :3]))
    loss = crf.nll(padded, tags.masked_fill(~mask, -100), mask)
    torch.testing.assert_close(loss[1:2], crf.nll(unpadded, tags[1:2, :3], mask[1:2, :3]))
    (loss + crf.log_marginals(padded, mask).exp()[..., 0].sum(1) + crf.kl(padded, emissions, mask)).sum().backward()
    assert padded.grad is not None
    assert not padded.grad[~mask].any()
    assert all(x.grad is not None and x.grad.isfinite().all() for x in (padded, *crf.parameters()))


@pytest.mark.usefixtures("recursion")
def test_forbidden_transitions_have_no_probability_and_no_gradient() -> None:
    crf = make_crf(SCHEMES["BIO, 1 type"], scale=0.0)
    with torch.no_grad():
        crf.start[2] = crf.transitions[0, 2] = 5.0  # tags: O, B-A, I-A
    emissions, mask = torch.tensor([[[0.0, 1.0, 9.0], [9.0, 0.0, 0.0], [0.0, 1.0, 9.0]]]), torch.ones(1, 3).bool()
    assert crf.viterbi(emissions, mask).tolist() == [[1, 0, 1]]
    marginals = crf.log_marginals(emissions, mask)
    assert marginals[0, 0, 2] == FLOOR
    (crf.log_partition(emissions, mask) + marginals.sum()).sum().backward()
    assert crf.transitions.grad is not None
    assert crf.start.grad is not None
    assert crf.transitions.grad[0, 2] == crf.start.grad[2] == 0.0


def test_forbidden_gold_path_has_a_large_but_finite_loss() -> None:
    crf, emissions, mask = make_case(SCHEMES["BIO, 1 type"], [3])
    orphans = torch.tensor([[2, 0, 2]])
    loss = crf.nll(emissions, orphans, mask)
    torch.testing.assert_close(loss, crf.log_partition(emissions, mask) - crf.score(emissions, orphans, mask))
    assert 2e4 < loss.item() < 2.1e4


def test_unsatisfiable_constraint_has_probability_zero() -> None:
    crf, emissions, mask = make_case(SCHEMES["BIO, 1 type"], [3, 2])
    only_inside = torch.zeros(emissions.shape, dtype=torch.bool)
    only_inside[..., 2] = True
    constrained = crf.constrained_log_partition(emissions, mask, only_inside)
    assert (constrained - crf.log_partition(emissions, mask)).exp().tolist() == [0.0, 0.0]


def test_negative_infinite_emission_excludes_a_tag() -> None:
    crf, emissions, mask = make_case(SCHEMES["BIO, 2 types"], [4, 2])
    allowed_tags = torch.ones(emissions.shape, dtype=torch.bool)
    allowed_tags[:, 1, 1:] = False
    infinite = emissions.masked_fill(~allowed_tags, -math.inf).requires_grad_()
    partition = crf.log_partition(infinite, mask)
    torch.testing.assert_close(partition, crf.constrained_log_partition(emissions, mask, allowed_tags))
    (partition.sum() + crf.log_marginals(infinite, mask).exp()[..., 0].sum()).backward()
    assert infinite.grad is not None
    assert infinite.grad.isfinite().all()
    assert crf.viterbi(infinite, mask)[:, 1].tolist() == [0, 0]
    torch.testing.assert_close(crf.kl(infinite, infinite, mask), torch.zeros(2).double())


def test_ties_are_resolved_in_favour_of_the_lower_tag() -> None:
    """Otherwise the same text could get different tags in different batches."""
    crf = LinearChainCRF(SCHEMES["unconstrained"])
    for weights in crf.parameters():
        torch.nn.init.zeros_(weights)
    emissions, mask = torch.zeros(2, 5, 4), torch.ones(2, 5, dtype=torch.bool)
    assert not crf.viterbi(emissions, mask).any()
    assert crf.k_best(emissions, mask, 3)[0][0].tolist() == [[0] * 5, [1, 0, 0, 0, 0], [2, 0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        ([[True, False, True]], "all padding at the end"),
        ([[False, True, True]], "all padding at the end"),
        ([[False, False, False]], "at least one word"),
        ([[1, 1, 0]], "expected a bool mask with at least one word, got torch.int64"),
        ([[True, True]], r"got \[1, 3, 3\] and \[1, 2\]"),
        ([[]], r"got \[1, 3, 3\] and \[1, 0\]"),
    ],
)
def test_invalid_masks_are_rejected(mask: list[list[bool]], message: str) -> None:
    """pytorch-crf accepts a mask with gaps and returns a number."""
    crf = LinearChainCRF(SCHEMES["BIO, 1 type"])
    for method in (crf.log_partition, crf.log_marginals, crf.viterbi):
        with pytest.raises(ValueError, match=message):
            method(torch.zeros(1, 3, 3), torch.tensor(mask))


def test_wrong_number_of_tags_and_k_below_1_are_rejected() -> None:
    crf, mask = LinearChainCRF(SCHEMES["BIO, 1 type"]), torch.ones(1, 3, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"expected emissions \[batch, words, 3\] .* got \[1, 3, 4\]"):
        crf.viterbi(torch.zeros(1, 3, 4), mask)
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        crf.k_best(torch.zeros(1, 3, 3), mask, 0)


def test_state_dict_contains_only_the_weights() -> None:
    """The scheme comes from the label set. A second copy in the checkpoint could contradict it."""
    assert sorted(LinearChainCRF(SCHEMES["BIOES"]).state_dict()) == ["end", "start", "transitions"]


def test_crf_compiles_without_graph_breaks() -> None:
    crf = LinearChainCRF(SCHEMES["BIO, 1 type"])
    emissions, mask = torch.randn(2, 4, 3), torch.tensor([[True] * 4, [True, True, False, False]])

    def run(x: Tensor) -> tuple[Tensor, ...]:
        return crf.log_partition(x, mask), crf.log_marginals(x, mask), crf.viterbi(x, mask)

    compiled = torch.compile(run, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(emissions), run(emissions))
