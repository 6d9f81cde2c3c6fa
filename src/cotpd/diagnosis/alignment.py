"""Alignment that did not take: how far the view that ships is from its target, where it matters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cotpd.core.records import NO_RELATION, Example
from cotpd.diagnosis.finding import Finding, Verdict, course, difference
from cotpd.distillation.targets import Targets
from cotpd.distillation.tasks import LEARNING
from cotpd.evaluation import Comparison
from cotpd.evaluation.matching import surfaces_of
from cotpd.evaluation.table import percent
from cotpd.student.student import Student

SIGNATURE = "the alignment did not take"
MEMORISED = "the target has memorised the labels that it teaches"

ALL = "all that are labelled"
"""The group of the words of entities, or of the pairs that are related."""

_GAP, _AGREEMENT = 0.01, 0.95
_SURE, _DROP, _LARGE_DROP = 0.98, 0.03, 0.25


class Distance(NamedTuple):
    """Of some words or pairs: mean KL(target ‖ student) in nats, and how often both prefer the same label."""

    num: int
    kl: float
    agreement: float


@dataclass(frozen=True, slots=True)
class Words:
    """Distances of single decisions and the groups each belongs to: arrays ``[decisions]``."""

    kl: np.ndarray
    agrees: np.ndarray
    groups: tuple[frozenset[str], ...]

    def distance(self, group: str) -> Distance:
        """The distance of the decisions of a group."""
        chosen = np.array([group in groups for groups in self.groups], dtype=bool)
        if not chosen.any():
            return Distance(0, 0.0, 1.0)
        return Distance(int(chosen.sum()), max(0.0, float(self.kl[chosen].mean())), float(self.agrees[chosen].mean()))

    @property
    def names(self) -> list[str]:
        """The groups there are."""
        return sorted({name for groups in self.groups for name in groups})


def distances(target: Targets, student: Targets, posts: Sequence[Example], train: Sequence[Example]) -> Words:
    """Compare log-probabilities of the same posts, decision by decision."""
    surfaces = surfaces_of(train)
    kl, agrees, groups = [], [], []
    for post in posts:
        log_p, log_q = (side[post.id].astype(np.float64) for side in (target, student))
        kl.append((np.exp(log_p) * (log_p - log_q)).sum(-1))
        agrees.append(log_p.argmax(-1) == log_q.argmax(-1))
        groups += list(_groups(post, len(log_p), surfaces))
    return Words(np.concatenate(kl), np.concatenate(agrees), tuple(groups))


def alignment_finding(words: Words, gap: Comparison, losses: Sequence[float]) -> Finding:
    """The verdict on the distance; ``gap``: the target's view against what ships; ``losses``: as training went."""
    inside = words.distance(ALL)
    found = gap.difference > _GAP and gap.interval.low > 0 and inside.agreement < _AGREEMENT
    names = [name for name in (ALL, *words.names) if words.distance(name).num]
    return Finding(
        SIGNATURE,
        Verdict.FOUND if found else Verdict.ABSENT,
        means="The view that ships should say what the target's view says, for that is all it keeps of the knowledge.",
        rule=f"the target is over {100 * _GAP:.0f} point of F1 ahead, the interval above 0, and both prefer the same "
        f"label on under {100 * _AGREEMENT:.0f} % of the words of entities, or of the pairs that are related",
        advice="raise objective.weight, or objective.temperature to 2 or 4; train longer or raise "
        "optimisation.generator_learning_rate; if the distance is that of unseen entities, the text may not hold what "
        "the knowledge told: more training posts, not more weight",
        figures=(
            ("F1 of the target's view", percent(gap.first)),
            ("F1 of the view that ships", percent(gap.second)),
            ("difference, 95 % interval", difference(gap)),
            ("alignment loss, first and last tenth of training", course(losses)),
        ),
        header=("words or pairs of", "number", "KL, nats", "agreement"),
        rows=tuple(_row(name, words.distance(name)) for name in dict.fromkeys(names)),
    )


def memory_finding(
    student: Student, taught: tuple[Targets, Sequence[Example]], held_out: tuple[Targets, Sequence[Example]]
) -> Finding:
    """Whether the target is surer of the labels of training posts than of others: it then repeats the gold labels."""
    on_train, on_dev = (_sureness(student, *side) for side in (taught, held_out))
    drop = on_train - on_dev
    found = drop > _LARGE_DROP or (on_train > _SURE and drop > _DROP)
    return Finding(
        MEMORISED,
        Verdict.FOUND if found else Verdict.ABSENT,
        means="A target that knows the gold labels of the training posts by heart teaches those labels once more, and "
        "nothing of what the knowledge told.",
        rule=f"on the words of entities it gives the gold label {_LARGE_DROP} more in training than elsewhere, or over "
        f"{_SURE} in training and {_DROP} less elsewhere",
        advice="teach each post by a target that has not seen its labels: runs with data.left_out (in a plan: folds), "
        "named in objective.target_runs; or a higher objective.temperature",
        figures=(
            ("mean probability of the gold label, training posts", f"{on_train:.3f}"),
            ("the same, these posts", f"{on_dev:.3f}"),
        ),
    )


def _sureness(student: Student, targets: Targets, posts: Sequence[Example]) -> float:
    found = []
    for post in posts:
        gold = LEARNING[student.design.task].gold(post, student.design)
        sure = np.exp(targets[post.id].astype(np.float64))[np.arange(len(gold)), gold]
        found.append(sure[gold > 0])
    sureness = np.concatenate(found) if found else np.zeros(0)
    return float(sureness.mean()) if len(sureness) else 0.0


def _groups(post: Example, num_decisions: int, surfaces: frozenset[str]) -> Iterator[frozenset[str]]:
    """Of each decision: its gold type, whether that is something at all, and whether training had these words."""
    if num_decisions != len(post.words):
        labels = (relation.label for relation in post.relations)
        yield from (frozenset({label} if label == NO_RELATION else {label, ALL}) for label in labels)
        return
    of_words: list[frozenset[str]] = [frozenset({"no entity"})] * len(post.words)
    for entity in post.entities:
        novelty = "seen" if post.words_of(entity.span).casefold() in surfaces else "unseen"
        for word in range(entity.span.start, entity.span.end):
            of_words[word] = frozenset({entity.label, ALL, f"{novelty} entities"})
    yield from of_words


def _row(name: str, distance: Distance) -> tuple[str, ...]:
    return name, f"{distance.num:,}", f"{distance.kl:.3f}", f"{100 * distance.agreement:.1f} %"
