"""The CRF against every path written out, between its two recursions, and at the ends of its range."""

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
from cotpd.student.crf import scaled_space as scaled
from cotpd.student.crf.linear_chain import LinearChainCRF, constrain
from cotpd.student.crf.log_space import FLOOR

SCHEMES = {
    "BIO of one type": LabelSet.of(["A"]).allowed_transitions(),
    "BIO of two types": LabelSet.of(["A", "B"]).allowed_transitions(),
    "BIOES": LabelSet.of(["A"], "BIOES").allowed_transitions(),
    "everything": np.ones((6, 6), dtype=bool),
    "a ring": np.block([[np.roll(np.eye(3, dtype=bool), 1, 1), np.ones((3, 2), bool)], [np.ones((2, 5), bool)]]),
}
"""In the ring no number of steps joins all tags, so it is never taken for tame."""


class Case(NamedTuple):
    """A CRF of float64 weights, and a batch for it."""

    crf: LinearChainCRF
    emissions: Tensor
    mask: Tensor


class Paths(NamedTuple):
    """Every possible path of one row: ``tags [paths, words]``, best first, and scores ``[paths]``."""

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
    lengths = draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))
    scale = draw(st.sampled_from([0.0, 1.0, 8.0, 20.0, 300.0]))
    return make_case(allowed, lengths, scale=scale, seed=draw(st.integers(0, 1000)))


def all_paths(case: Case, *, emissions: Tensor | None = None, crf: LinearChainCRF | None = None) -> Iterator[Paths]:
    """Of each row of a batch, all its possible paths, best first."""
    crf, emissions = crf or case.crf, case.emissions if emissions is None else emissions
    for row, length in zip(emissions, case.mask.sum(1).tolist(), strict=True):
        tags = torch.cartesian_prod(*[torch.arange(row.shape[1])] * length).view(-1, length)
        start, end = torch.full((len(tags), 1), -2), torch.full((len(tags), 1), -1)
        walk = torch.cat([start, tags, end], 1)
        tags = tags[crf.allowed[walk[:, :-1], walk[:, 1:]].all(1)]
        scores = crf.start[tags[:, 0]] + crf.end[tags[:, -1]] + row[torch.arange(length), tags].sum(1)
        scores, order = (scores + crf.transitions[tags[:, :-1], tags[:, 1:]].sum(1)).sort(descending=True)
        yield Paths(tags[order], scores.detach())


def word_marginals(paths: Paths, num_tags: int) -> Tensor:
    """``[words, tags]``."""
    one_hot = torch.nn.functional.one_hot(paths.tags, num_tags)
    return (paths.scores.softmax(0).view(-1, 1, 1) * one_hot).sum(0)


def refuse_scaling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaled, "fits", lambda chain: False)


def gradients(case: Case, loss: Callable[[Tensor], Tensor]) -> tuple[Tensor, ...]:
    """The value of a loss of the emissions, and its gradients by them and by the weights."""
    emissions = case.emissions.clone().requires_grad_()
    value = loss(emissions)
    return value.detach(), *torch.autograd.grad(value.sum(), (emissions, *case.crf.parameters()))


@settings(max_examples=60, deadline=None)
@given(cases())
def test_partition_and_marginals_are_those_of_all_paths(case: Case) -> None:
    partitions = case.crf.log_partition(case.emissions, case.mask)
    marginals = case.crf.log_marginals(case.emissions, case.mask).exp()
    for row, paths in enumerate(all_paths(case)):
        expected = word_marginals(paths, marginals.shape[-1])
        torch.testing.assert_close(partitions[row], paths.scores.logsumexp(0))
        torch.testing.assert_close(marginals[row, : len(expected)], expected, atol=1e-9, rtol=1e-6)
    torch.testing.assert_close(marginals.sum(-1), torch.ones_like(marginals[..., 0]))  # on padding too


@settings(max_examples=60, deadline=None)
@given(cases(), st.integers(1, 40))
def test_best_paths_are_the_first_of_all_paths(case: Case, k: int) -> None:
    best = case.crf.viterbi(case.emissions, case.mask)
    tags, scores = case.crf.k_best(case.emissions, case.mask, k)
    torch.testing.assert_close(best, tags[:, 0])
    for row, paths in enumerate(all_paths(case)):
        count, length = min(k, len(paths.scores)), paths.tags.shape[1]
        torch.testing.assert_close(scores[row, :count], paths.scores[:count])
        found, possible = tags[row, :count, :length].tolist(), paths.tags.tolist()
        assert len({*map(tuple, found)}) == count  # no path twice
        torch.testing.assert_close(paths.scores[[possible.index(path) for path in found]], paths.scores[:count])
        assert (scores[row, count:] == -math.inf).all()  # an invented path would look like a real one
        assert not tags[row, count:].any()
        assert not tags[row, :, length:].any()


@settings(max_examples=40, deadline=None)
@given(cases(), st.integers(0, 1000))
def test_a_constraint_sums_the_paths_that_keep_to_it(case: Case, seed: int) -> None:
    allowed_tags = torch.rand(case.emissions.shape, generator=torch.Generator().manual_seed(seed)) < 0.7
    constrained = case.crf.constrained_log_partition(case.emissions, case.mask, allowed_tags)
    probabilities = (constrained - case.crf.log_partition(case.emissions, case.mask)).exp()
    marginals = case.crf.log_marginals(constrain(case.emissions, allowed_tags), case.mask).exp()
    for row, paths in enumerate(all_paths(case)):
        words = torch.arange(paths.tags.shape[1])
        keep = allowed_tags[row][words, paths.tags].all(1)
        torch.testing.assert_close(probabilities[row], paths.scores.softmax(0)[keep].sum(), atol=1e-9, rtol=1e-6)
        if keep.any():
            expected = word_marginals(Paths(paths.tags[keep], paths.scores[keep]), marginals.shape[-1])
            torch.testing.assert_close(marginals[row, : len(words)], expected, atol=1e-9, rtol=1e-6)


@settings(max_examples=60, deadline=None)
@given(cases(), st.data())
def test_the_share_of_a_segment_is_that_of_all_paths_that_keep_to_it(case: Case, data: st.DataObject) -> None:
    num_tags = case.emissions.shape[-1]
    behind = torch.tensor(data.draw(st.lists(st.booleans(), min_size=num_tags, max_size=num_tags)))
    path = torch.zeros(case.mask.shape, dtype=torch.long)
    places, expected = [], []
    for row, paths in enumerate(all_paths(case)):
        path[row, : paths.tags.shape[1]] = chosen = paths.tags[data.draw(st.integers(0, len(paths.tags) - 1))]
        for start, end in combinations(range(len(chosen) + 1), 2):
            keep = (paths.tags[:, start:end] == chosen[start:end]).all(1)
            if end < len(chosen):
                keep &= behind[paths.tags[:, end]]
            places.append((row, start, end))
            expected.append(paths.scores.softmax(0)[keep].sum())
    found = case.crf.segments(case.emissions, case.mask, path, torch.tensor(places).T, behind)
    torch.testing.assert_close(found.exp(), torch.stack(expected), atol=1e-9, rtol=1e-9)


def test_the_shares_of_segments_in_a_long_post_are_exact() -> None:
    """As a difference of two sums in float32 they were 3e-4 off at 500 words."""
    crf, emissions, mask = make_case(SCHEMES["BIO of two types"], [500, 300], scale=8.0)
    crf, emissions = crf.float(), emissions.float()
    path, behind = crf.viterbi(emissions, mask), torch.ones(5, dtype=torch.bool)
    places = torch.tensor([(row, word, word + 1) for row in (0, 1) for word in range(250)]).T
    expected = crf.log_marginals(emissions.double(), mask).exp()[places[0], places[1], path[places[0], places[1]]]
    found = crf.segments(emissions, mask, path, places, behind)
    torch.testing.assert_close(found.exp().double(), expected, atol=1e-6, rtol=0)


@settings(max_examples=60, deadline=None)
@given(cases(), st.sampled_from(["itself", "another"]), st.integers(0, 1000))
def test_divergence_is_that_over_all_paths(case: Case, of: str, seed: int) -> None:
    other = None if of == "itself" else make_crf(case.crf.allowed.numpy(), seed=seed + 2)
    p_emissions = case.emissions.roll(1, -1)
    divergence = case.crf.kl(p_emissions, case.emissions, case.mask, other)
    pairs = zip(all_paths(case, emissions=p_emissions, crf=other), all_paths(case), strict=True)
    for row, (p, q) in enumerate(pairs):
        same = [q.tags.tolist().index(path) for path in p.tags.tolist()]
        gap = p.scores.log_softmax(0) - q.scores.log_softmax(0)[same]
        torch.testing.assert_close(divergence[row], (p.scores.softmax(0) * gap).sum(), atol=1e-7, rtol=1e-6)


@pytest.mark.parametrize("scheme", ["BIO of one type", "BIOES"])
@pytest.mark.parametrize("recursion", ["scaled", "logarithms"])
def test_gradients_are_those_of_finite_differences(
    scheme: str, recursion: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if recursion == "logarithms":
        refuse_scaling(monkeypatch)
    crf, emissions, mask = make_case(SCHEMES[scheme], [3, 1])
    assert scaled.fits(crf._chain(emissions, mask)) == (recursion == "scaled")
    tags, weights = crf.viterbi(emissions, mask), tuple(crf.parameters())
    other = emissions.roll(1, -1).requires_grad_()

    def check(function: Callable[[Tensor], Tensor]) -> None:
        assert torch.autograd.gradcheck(lambda x, *_: function(x), (emissions.requires_grad_(), *weights))

    check(lambda x: crf.log_partition(x, mask))
    check(lambda x: crf.nll(x, tags, mask))
    check(lambda x: crf.log_marginals(x, mask).clamp(min=FLOOR / 2))
    check(lambda x: crf.kl(other, x, mask))
    check(lambda x: crf.kl(x, other, mask))


@pytest.mark.parametrize("scheme", ["BIO of two types", "BIOES", "everything"])
@pytest.mark.parametrize(("scale", "shift"), [(0.1, 0.0), (0.1, -20.0), (0.1, 20.0), (7.0, 0.0), (15.0, 0.0)])
def test_both_recursions_agree_on_long_posts(
    scheme: str, scale: float, shift: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rescaling, which short posts never need, must come in time and cancel in values and gradients."""
    case = make_case(SCHEMES[scheme], [130, 64, 3, 1], scale=scale)
    torch.nn.init.constant_(case.crf.transitions, shift)
    weights = torch.randn(case.emissions.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    losses: list[Callable[[Tensor], Tensor]] = [
        lambda x: case.crf.log_partition(x, case.mask) * torch.arange(1, 5),
        lambda x: case.crf.log_marginals(x, case.mask) * weights,
        lambda x: case.crf.kl(x.flip(-1), x, case.mask),
        lambda x: case.crf.kl_of_held(x.flip(-1), x, case.mask),
    ]
    held = deepcopy(case.crf).requires_grad_(False)
    expected = gradients(case, lambda x: case.crf.kl(x.flip(-1).detach(), x, case.mask, held))
    torch.testing.assert_close(gradients(case, losses[-1]), expected, atol=1e-8, rtol=1e-8)
    assert scaled.fits(case.crf._chain(case.emissions, case.mask))
    fast = [gradients(case, loss) for loss in losses]
    refuse_scaling(monkeypatch)
    torch.testing.assert_close(fast, [gradients(case, loss) for loss in losses], atol=1e-8, rtol=1e-8)


def test_likelihood_is_that_of_pytorch_crf() -> None:
    case = make_case(SCHEMES["everything"], [7, 7, 4])
    tags = torch.randint(4, case.mask.shape, generator=torch.Generator().manual_seed(1))
    peer = torchcrf.CRF(4, batch_first=True).double()
    names = ("transitions", "start_transitions", "end_transitions")
    peer.load_state_dict(dict(zip(names, case.crf.parameters(), strict=True)))
    expected = -peer(case.emissions, tags, mask=case.mask, reduction="none")
    torch.testing.assert_close(case.crf.nll(case.emissions, tags, case.mask), expected)


@pytest.mark.parametrize("length", [1, 2, 512])
@pytest.mark.parametrize("size", [0.0, 1e4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_ends_of_the_range_are_finite(length: int, size: float, dtype: torch.dtype) -> None:
    crf, mask = LinearChainCRF(SCHEMES["BIOES"]), torch.ones(2, length, dtype=torch.bool)
    signs = torch.randn(2, length, 5, generator=torch.Generator().manual_seed(1)).sign()
    emissions = (size * signs).to(dtype).requires_grad_()
    tags = torch.zeros(2, length, dtype=torch.long)
    losses = [crf.nll(emissions, tags, mask), crf.kl(emissions.flip(-1), emissions, mask)]
    losses.append(crf.log_marginals(emissions, mask).exp())
    assert all(loss.dtype == torch.float32 and loss.isfinite().all() and (loss >= 0).all() for loss in losses)
    sum(loss.sum() for loss in losses).backward()
    assert all(x.grad is not None and x.grad.isfinite().all() for x in (emissions, *crf.parameters()))
    assert_possible(crf, crf.viterbi(emissions, mask))
    assert_possible(crf, crf.k_best(emissions, mask, 2)[0][:, 0])


def assert_possible(crf: LinearChainCRF, paths: Tensor) -> None:
    walks = torch.nn.functional.pad(paths, (1, 1), value=-2)
    walks[:, -1] = -1
    assert crf.allowed[walks[:, :-1], walks[:, 1:]].all()


def test_autocast_changes_nothing() -> None:
    """pytorch-crf is 13 % off under bfloat16 autocast: sums of many words lose their last digits."""
    crf = LinearChainCRF(SCHEMES["BIO of two types"])
    emissions, mask = torch.randn(4, 60, 5), torch.ones(4, 60, dtype=torch.bool)
    tags = crf.viterbi(torch.randn(4, 60, 5), mask)

    def results(x: Tensor) -> list[Tensor]:
        loss = crf.nll(x, tags, mask) + crf.log_marginals(x, mask).exp()[..., 0].sum(1) + crf.kl(x.flip(-1), x, mask)
        return [loss, *torch.autograd.grad(loss.sum(), tuple(crf.parameters()))]

    plain, rounded = results(emissions), results(emissions.bfloat16().float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(results(emissions), plain, atol=0, rtol=0)
        torch.testing.assert_close(results(emissions.bfloat16()), rounded, atol=0, rtol=0)


@pytest.mark.parametrize("recursion", ["scaled", "logarithms"])
def test_padding_is_not_read(recursion: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if recursion == "logarithms":
        refuse_scaling(monkeypatch)
    crf, emissions, mask = make_case(SCHEMES["BIO of two types"], [6, 3, 1])
    dirty, alone = emissions.masked_fill(~mask.unsqueeze(-1), math.nan).requires_grad_(), emissions[1:2, :3]
    tags = crf.viterbi(dirty, mask)
    torch.testing.assert_close(tags[1:2, :3], crf.viterbi(alone, mask[1:2, :3]))
    loss = crf.nll(dirty, tags.masked_fill(~mask, -100), mask)
    torch.testing.assert_close(loss[1:2], crf.nll(alone, tags[1:2, :3], mask[1:2, :3]))
    (loss + crf.log_marginals(dirty, mask).exp()[..., 0].sum(1) + crf.kl(dirty, emissions, mask)).sum().backward()
    assert dirty.grad is not None
    assert not dirty.grad[~mask].any()
    assert all(x.grad is not None and x.grad.isfinite().all() for x in (dirty, *crf.parameters()))


@pytest.mark.parametrize("recursion", ["scaled", "logarithms"])
def test_what_the_scheme_forbids_has_no_weight_to_learn(recursion: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However large a weight or an emission, no orphan is decoded, and none gets a share of the probability."""
    if recursion == "logarithms":
        refuse_scaling(monkeypatch)
    crf = make_crf(SCHEMES["BIO of one type"], scale=0.0)
    with torch.no_grad():
        crf.start[2] = crf.transitions[0, 2] = 5.0  # O, B-A, I-A
    emissions, mask = torch.tensor([[[0.0, 1.0, 9.0], [9.0, 0.0, 0.0], [0.0, 1.0, 9.0]]]), torch.ones(1, 3).bool()
    assert crf.viterbi(emissions, mask).tolist() == [[1, 0, 1]]
    marginals = crf.log_marginals(emissions, mask)
    assert marginals[0, 0, 2] == FLOOR
    (crf.log_partition(emissions, mask) + marginals.sum()).sum().backward()
    assert crf.transitions.grad is not None
    assert crf.start.grad is not None
    assert crf.transitions.grad[0, 2] == crf.start.grad[2] == 0.0


def test_a_forbidden_gold_path_is_dear_but_finite() -> None:
    crf, emissions, mask = make_case(SCHEMES["BIO of one type"], [3])
    orphans = torch.tensor([[2, 0, 2]])
    loss = crf.nll(emissions, orphans, mask)
    torch.testing.assert_close(loss, crf.log_partition(emissions, mask) - crf.score(emissions, orphans, mask))
    assert 2e4 < loss.item() < 2.1e4


def test_a_constraint_that_nothing_meets_has_no_probability() -> None:
    crf, emissions, mask = make_case(SCHEMES["BIO of one type"], [3, 2])
    only_inside = torch.zeros(emissions.shape, dtype=torch.bool)
    only_inside[..., 2] = True
    share = crf.constrained_log_partition(emissions, mask, only_inside) - crf.log_partition(emissions, mask)
    assert share.exp().tolist() == [0.0, 0.0]


def test_an_infinite_emission_rules_a_tag_out() -> None:
    crf, emissions, mask = make_case(SCHEMES["BIO of two types"], [4, 2])
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


def test_ties_go_to_the_lower_tag() -> None:
    """Else the same post could be tagged one way in training's dev score and another in a batch of the Extractor."""
    crf = LinearChainCRF(SCHEMES["everything"])
    for weights in crf.parameters():
        torch.nn.init.zeros_(weights)
    emissions, mask = torch.zeros(2, 5, 4), torch.ones(2, 5, dtype=torch.bool)
    assert not crf.viterbi(emissions, mask).any()
    assert crf.k_best(emissions, mask, 3)[0][0].tolist() == [[0] * 5, [1, 0, 0, 0, 0], [2, 0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        ([[True, False, True]], "without holes"),
        ([[False, True, True]], "first words"),
        ([[False, False, False]], "first words"),
        ([[1, 1, 0]], "bool"),
        ([[True, True]], "do not fit"),
        ([[]], "do not fit"),
    ],
)
def test_a_mask_that_cannot_be_is_refused(mask: list[list[bool]], message: str) -> None:
    """pytorch-crf takes a mask with holes and returns a number."""
    crf = LinearChainCRF(SCHEMES["BIO of one type"])
    for method in (crf.log_partition, crf.log_marginals, crf.viterbi):
        with pytest.raises(ValueError, match=message):
            method(torch.zeros(1, 3, 3), torch.tensor(mask))


def test_other_wrong_arguments_are_refused() -> None:
    crf, mask = LinearChainCRF(SCHEMES["BIO of one type"]), torch.ones(1, 3, dtype=torch.bool)
    with pytest.raises(ValueError, match="do not fit 3 tags"):
        crf.viterbi(torch.zeros(1, 3, 4), mask)
    with pytest.raises(ValueError, match="k must be at least 1"):
        crf.k_best(torch.zeros(1, 3, 3), mask, 0)


def test_a_checkpoint_holds_the_weights_alone() -> None:
    """The scheme comes from the label set; stored twice, the two could disagree."""
    assert sorted(LinearChainCRF(SCHEMES["BIOES"]).state_dict()) == ["end", "start", "transitions"]


def test_it_compiles_without_a_break() -> None:
    crf = LinearChainCRF(SCHEMES["BIO of one type"])
    emissions, mask = torch.randn(2, 4, 3), torch.tensor([[True] * 4, [True, True, False, False]])

    def run(x: Tensor) -> tuple[Tensor, ...]:
        return crf.log_partition(x, mask), crf.log_marginals(x, mask), crf.viterbi(x, mask)

    compiled = torch.compile(run, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(emissions), run(emissions))
