"""Failed alignment: the distance of the deployed view from its target, and targets that only repeat gold labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cotpd.core.records import NO_RELATION, Example
from cotpd.diagnosis.finding import Finding, FindingVerdict, format_course, format_difference
from cotpd.distillation.targets import Targets
from cotpd.distillation.tasks import LEARNING
from cotpd.evaluation import Comparison
from cotpd.evaluation.matching import surfaces_of
from cotpd.evaluation.table import percent
from cotpd.student.student import Student

FAILED_ALIGNMENT = "the alignment failed"
MEMORISED = "the target has memorised its labels"

ALL = "all labelled"
"""The group of all words of entities, or of all pairs with a relation."""

_MIN_LEAD, _MAX_AGREEMENT = 0.01, 0.95
_HIGH_CONFIDENCE, _DROP, _LARGE_DROP = 0.98, 0.03, 0.25


class Distance(NamedTuple):
    """The distance between two views on some words or pairs.

    Attributes:
        num_decisions: The number of words or pairs.
        kl: The mean KL(target ‖ student), in nats.
        agreement: The share of decisions on which both prefer the same label.
    """

    num_decisions: int
    kl: float
    agreement: float


@dataclass(frozen=True, slots=True)
class Distances:
    """The distances of single words or pairs.

    Attributes:
        kl: KL(target ‖ student) in nats, ``[decisions]``.
        agrees: Whether both prefer the same label, ``[decisions]``.
        groups: The groups of each decision.
    """

    kl: np.ndarray
    agrees: np.ndarray
    groups: tuple[frozenset[str], ...]

    def of_group(self, name: str) -> Distance:
        """Return the mean distance over a group."""
        chosen = np.array([name in groups for groups in self.groups], dtype=bool)
        if not chosen.any():
            return Distance(0, 0.0, 1.0)
        return Distance(int(chosen.sum()), max(0.0, float(self.kl[chosen].mean())), float(self.agrees[chosen].mean()))

    @property
    def group_names(self) -> list[str]:
        """The names of all groups."""
        return sorted({name for groups in self.groups for name in groups})


def measure_distances(
    target: Targets, student: Targets, examples: Sequence[Example], train: Sequence[Example]
) -> Distances:
    """Compare the log-probabilities of target and student for the same examples.

    Args:
        target: The log-probabilities of the target.
        student: The log-probabilities of the student.
        examples: The examples, which give the groups: gold labels, and entities seen or unseen in training.
        train: The training examples.
    """
    surfaces = surfaces_of(train)
    kl, agrees, groups = [], [], []
    for example in examples:
        log_p, log_q = (side[example.id].astype(np.float64) for side in (target, student))
        kl.append((np.exp(log_p) * (log_p - log_q)).sum(-1))
        agrees.append(log_p.argmax(-1) == log_q.argmax(-1))
        groups += list(_groups(example, len(log_p), surfaces))
    return Distances(np.concatenate(kl), np.concatenate(agrees), tuple(groups))


def alignment_finding(distances: Distances, target_vs_deployed: Comparison, losses: Sequence[float]) -> Finding:
    """Judge whether the deployed view follows its target.

    Args:
        distances: The distances between target and deployed view.
        target_vs_deployed: F1 of the target view against F1 of the deployed view.
        losses: The alignment losses in the order of training.
    """
    is_behind = target_vs_deployed.difference > _MIN_LEAD and target_vs_deployed.interval.low > 0
    is_found = is_behind and distances.of_group(ALL).agreement < _MAX_AGREEMENT
    names = [name for name in (ALL, *distances.group_names) if distances.of_group(name).num_decisions]
    return Finding(
        FAILED_ALIGNMENT,
        FindingVerdict.FOUND if is_found else FindingVerdict.ABSENT,
        meaning="The deployed view learns from the knowledge only through its target, so both should prefer the same "
        "labels.",
        rule=f"the target leads by more than {100 * _MIN_LEAD:.0f} point of F1, the interval lies above 0, and both "
        f"agree on less than {100 * _MAX_AGREEMENT:.0f} % of the words in entities, or of the pairs with a relation",
        advice="raise objective.weight, or set objective.temperature to 2 or 4; train longer; if the distance is large "
        "only for unseen entities, the text may not contain what the knowledge adds, and more training posts help more "
        "than a higher weight",
        figures=(
            ("F1 of the target view", percent(target_vs_deployed.first)),
            ("F1 of the deployed view", percent(target_vs_deployed.second)),
            ("difference, 95 % interval", format_difference(target_vs_deployed)),
            ("alignment loss, first and last tenth of training", format_course(losses)),
        ),
        header=("words or pairs", "number", "KL, nats", "agreement"),
        rows=tuple(_row(name, distances.of_group(name)) for name in dict.fromkeys(names)),
    )


def memory_finding(
    student: Student, train: tuple[Targets, Sequence[Example]], held_out: tuple[Targets, Sequence[Example]]
) -> Finding:
    """Judge whether the target has memorised the gold labels of its training examples.

    Args:
        student: The student, whose design lists the labels.
        train: Targets and examples of the training set.
        held_out: Targets and examples that the target was not trained on.
    """
    on_train, on_held_out = (_gold_probability(student, *side) for side in (train, held_out))
    drop = on_train - on_held_out
    is_found = drop > _LARGE_DROP or (on_train > _HIGH_CONFIDENCE and drop > _DROP)
    return Finding(
        MEMORISED,
        FindingVerdict.FOUND if is_found else FindingVerdict.ABSENT,
        meaning="A target that has memorised the gold labels of the training set only repeats these labels "
        "and transfers no knowledge.",
        rule=f"the mean probability of the gold label on words in entities is {_LARGE_DROP} higher on training "
        f"examples than on others, or is above {_HIGH_CONFIDENCE} on training examples and {_DROP} lower on others",
        advice="teach each example with a target that was trained without it: runs with held-out folds (`folds` in a "
        "plan), listed in objective.target_runs; or raise objective.temperature",
        figures=(
            ("mean probability of the gold label, training examples", f"{on_train:.3f}"),
            ("mean probability of the gold label, examined examples", f"{on_held_out:.3f}"),
        ),
    )


def _gold_probability(student: Student, targets: Targets, examples: Sequence[Example]) -> float:
    """Return the mean probability of the gold label over all decisions that have one."""
    parts = []
    for example in examples:
        gold = LEARNING[student.design.task].gold(example, student.design)
        of_gold = np.exp(targets[example.id].astype(np.float64))[np.arange(len(gold)), gold]
        parts.append(of_gold[gold > 0])
    probabilities = np.concatenate(parts) if parts else np.zeros(0)
    return float(probabilities.mean()) if len(probabilities) else 0.0


def _groups(example: Example, num_decisions: int, surfaces: frozenset[str]) -> Iterator[frozenset[str]]:
    """Yield the groups of each decision: its gold label, `ALL`, and ``seen`` or ``unseen entities``."""
    if num_decisions != len(example.words):
        labels = (relation.label for relation in example.relations)
        yield from (frozenset({label} if label == NO_RELATION else {label, ALL}) for label in labels)
        return
    by_word: list[frozenset[str]] = [frozenset({"no entity"})] * len(example.words)
    for entity in example.entities:
        novelty = "seen" if example.words_of(entity.span).casefold() in surfaces else "unseen"
        for word in range(entity.span.start, entity.span.end):
            by_word[word] = frozenset({entity.label, ALL, f"{novelty} entities"})
    yield from by_word


def _row(name: str, distance: Distance) -> tuple[str, ...]:
    return name, f"{distance.num_decisions:,}", f"{distance.kl:.3f}", f"{100 * distance.agreement:.1f} %"
