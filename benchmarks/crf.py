"""Compare our CRF with pytorch-crf on a CPU. Both run in one process, in turn.

    python benchmarks/crf.py --threads 1

The last line is one JSON object:

    speedup              median time of pytorch-crf, divided by ours, for the likelihood and its gradient
    viterbi_speedup      the same for the best paths (tensors here, lists there), which must be equal
    marginals_speedup    the same for the marginals and a gradient through them. pytorch-crf has no marginals, so there
                         they are the gradient of its partition function (a private method), differentiated again
    relative_error       maximum error of our likelihood and its gradients, each relative to its largest exact value;
                         pytorch-crf in float64 gives the exact values
    peer_relative_error  the same for pytorch-crf in float32

Speedups use wall time. Those ending in ``_of_processors`` use CPU time, which other programs do not change.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping
from itertools import chain
from typing import NamedTuple

import torch
import torchcrf
from torch import Tensor

from cotpd.core.labels import LabelSet
from cotpd.student.crf.linear_chain import LinearChainCRF

_WARM_UP = 3


class Case(NamedTuple):
    """A batch sorted by length, with little padding, and both CRFs with the same weights."""

    emissions: Tensor
    tags: Tensor
    mask: Tensor
    weights: Tensor
    ours: LinearChainCRF
    peer: torchcrf.CRF


class Seconds(NamedTuple):
    """Wall time and CPU time, in seconds."""

    wall: float
    processor: float


def main() -> None:
    """Run the measurements and print the results."""
    options = _options()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    case = _case(options)
    if _viterbi(case)[case.mask].tolist() != list(chain.from_iterable(_peer_viterbi(case))):
        raise SystemExit("our CRF and pytorch-crf find different best paths")
    seconds = _measure(case, options.repetitions)
    for name, (wall, processor) in seconds.items():
        print(f"{name:16} {1e3 * wall:8.2f} ms wall time {1e3 * processor:8.2f} ms CPU time")
    print(json.dumps(_summary(case, seconds) | vars(options)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare our CRF with pytorch-crf.")
    for name, default in {"rows": 32, "words": 64, "types": 4, "threads": 1, "repetitions": 50, "seed": 1}.items():
        parser.add_argument(f"--{name}", type=int, default=default, help="(default: %(default)s)")
    return parser.parse_args()


def _case(options: argparse.Namespace) -> Case:
    label_set = LabelSet.of(f"T{number}" for number in range(options.types))
    allowed, num_tags = torch.from_numpy(label_set.allowed_transitions()), len(label_set.tags)
    ours, peer = LinearChainCRF(allowed.numpy()), torchcrf.CRF(num_tags, batch_first=True)
    with torch.no_grad():
        peer.transitions.copy_(ours.transitions.masked_fill(~allowed[:-2, :-2], -1e4))
        peer.start_transitions.copy_(ours.start.masked_fill(~allowed[-2, :-2], -1e4))
        peer.end_transitions.copy_(ours.end.masked_fill(~allowed[:-2, -1], -1e4))
    lengths = torch.randint(options.words * 3 // 4, options.words + 1, (options.rows,)).sort(descending=True).values
    lengths[0] = options.words
    mask = torch.arange(options.words) < lengths.unsqueeze(1)
    emissions = 3 * torch.randn(options.rows, options.words, num_tags)
    tags = ours.viterbi(emissions + 3 * torch.randn_like(emissions), mask)
    return Case(emissions, tags, mask, torch.randn_like(emissions) * mask.unsqueeze(-1), ours, peer)


def _measure(case: Case, repetitions: int) -> dict[str, Seconds]:
    """Return the median time of every function. They run in turn, and the first rounds are not counted."""
    functions: Mapping[str, Callable[[Case], object]] = {
        "nll": _nll,
        "peer nll": _peer_nll,
        "viterbi": _viterbi,
        "peer viterbi": _peer_viterbi,
        "marginals": _marginals,
        "peer marginals": _peer_marginals,
        "divergence": _divergence,
        "5 best": _five_best,
    }
    rounds: dict[str, list[Seconds]] = {name: [] for name in functions}
    for _ in range(repetitions + _WARM_UP):
        for name, run in functions.items():
            wall, processor = time.perf_counter(), time.process_time()
            run(case)
            rounds[name].append(Seconds(time.perf_counter() - wall, time.process_time() - processor))
    return {
        name: Seconds(*map(statistics.median, zip(*times[_WARM_UP:], strict=True))) for name, times in rounds.items()
    }


def _summary(case: Case, seconds: Mapping[str, Seconds]) -> dict[str, float]:
    exact = case._replace(emissions=case.emissions.double(), peer=_double(case.peer))
    truth, marginals = _peer_nll(exact), _peer_marginals(exact)
    return {
        **_speedups(seconds),
        "relative_error": max(map(_relative_error, _nll(case), truth)),
        "peer_relative_error": max(map(_relative_error, _peer_nll(case), truth)),
        "marginals_relative_error": max(map(_relative_error, _marginals(case), marginals)),
        **{f"{name.replace(' ', '_')}_ms": round(1e3 * times.wall, 3) for name, times in seconds.items()},
    }


def _speedups(seconds: Mapping[str, Seconds]) -> dict[str, float]:
    names = {"nll": "speedup", "viterbi": "viterbi_speedup", "marginals": "marginals_speedup"}
    speedups: dict[str, float] = {}
    for name, title in names.items():
        ours, peer = seconds[name], seconds[f"peer {name}"]
        speedups[title] = round(peer.wall / ours.wall, 2)
        speedups[f"{title}_of_processors"] = round(peer.processor / ours.processor, 2)
    return speedups


def _nll(case: Case) -> tuple[Tensor, ...]:
    """Return the negative log-likelihood and its gradients for emissions, transitions, start and end."""
    emissions = case.emissions.clone().requires_grad_()
    loss = case.ours.nll(emissions, case.tags, case.mask).sum()
    return loss.detach(), *torch.autograd.grad(loss, (emissions, *case.ours.parameters()))


def _peer_nll(case: Case) -> tuple[Tensor, ...]:
    emissions, peer = case.emissions.clone().requires_grad_(), case.peer
    loss = -peer(emissions, case.tags, mask=case.mask, reduction="sum")
    weights = (emissions, peer.transitions, peer.start_transitions, peer.end_transitions)
    return loss.detach(), *torch.autograd.grad(loss, weights)


def _viterbi(case: Case) -> Tensor:
    return case.ours.viterbi(case.emissions, case.mask)


def _peer_viterbi(case: Case) -> list[list[int]]:
    paths: list[list[int]] = case.peer.decode(case.emissions, mask=case.mask)
    return paths


def _marginals(case: Case) -> tuple[Tensor, Tensor]:
    """Return the marginals, and the gradient of a weighted sum of them for the emissions."""
    emissions = case.emissions.clone().requires_grad_()
    marginals = case.ours.log_marginals(emissions, case.mask).exp() * case.mask.unsqueeze(-1)
    (gradient,) = torch.autograd.grad((marginals * case.weights).sum(), emissions)
    return marginals.detach(), gradient


def _peer_marginals(case: Case) -> tuple[Tensor, Tensor]:
    emissions = case.emissions.clone().requires_grad_()
    partition = case.peer._compute_normalizer(emissions.transpose(0, 1), case.mask.T).sum()
    (marginals,) = torch.autograd.grad(partition, emissions, create_graph=True)
    (gradient,) = torch.autograd.grad((marginals * case.weights).sum(), emissions)
    return marginals.detach(), gradient


def _divergence(case: Case) -> Tensor:
    emissions = case.emissions.clone().requires_grad_()
    loss = case.ours.kl(case.emissions + case.weights, emissions, case.mask).sum()
    return torch.autograd.grad(loss, emissions)[0]


def _five_best(case: Case) -> Tensor:
    return case.ours.k_best(case.emissions, case.mask, 5)[0]


def _double(peer: torchcrf.CRF) -> torchcrf.CRF:
    exact = torchcrf.CRF(peer.num_tags, batch_first=True).double()
    exact.load_state_dict(peer.state_dict())
    return exact


def _relative_error(value: Tensor, truth: Tensor) -> float:
    return float((value.double() - truth).abs().max() / truth.abs().max())


if __name__ == "__main__":
    main()
