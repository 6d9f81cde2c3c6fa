"""The distance between views is measured by label and novelty, and judged together with F1."""

import numpy as np
import pytest

from cotpd.core.records import NO_RELATION, Entity, Example, Relation, Span
from cotpd.diagnosis.alignment import ALL, alignment_finding, measure_distances, memory_finding
from cotpd.diagnosis.finding import FindingVerdict
from cotpd.evaluation import Comparison
from cotpd.evaluation.statistics.resampling import Interval
from cotpd.student.student import Student

EXAMPLES = [
    Example("a", ("Ann", "visits", "Oslo"), (Entity(Span(0, 1), "PER"), Entity(Span(2, 3), "LOC"))),
    Example("b", ("no", "names"), ()),
]


def log_probabilities(examples: list[Example], tag: int, share: float) -> dict[str, np.ndarray]:
    """Give five tags, with ``share`` on one of them."""
    targets = {}
    for example in examples:
        table = np.full((len(example.words), 5), (1 - share) / 4)
        table[:, tag] = share
        targets[example.id] = np.log(table)
    return targets


def test_the_distance_is_kl_by_type_and_novelty() -> None:
    target, student = log_probabilities(EXAMPLES, 1, 0.9), log_probabilities(EXAMPLES, 0, 0.6)
    distances = measure_distances(target, student, EXAMPLES, train=EXAMPLES[:1])
    expected = 0.9 * np.log(0.9 / 0.1) + 0.025 * np.log(0.025 / 0.6) + 3 * 0.025 * np.log(0.025 / 0.1)
    assert distances.of_group("PER") == pytest.approx((1, expected, 0.0))
    assert distances.of_group("no entity").num_decisions == 3
    assert (distances.of_group("seen entities").num_decisions, distances.of_group("unseen entities").num_decisions) == (
        2,
        0,
    )
    assert measure_distances(target, target, EXAMPLES, EXAMPLES).of_group(ALL) == (2, 0.0, 1.0)
    unseen = measure_distances(target, student, EXAMPLES, train=EXAMPLES[1:])
    assert unseen.of_group("unseen entities").num_decisions == 2


def test_pairs_without_a_relation_do_not_count_as_labelled() -> None:
    """Most pairs have no relation, and any two views agree on them."""
    pairs = [Relation(Span(0, 1), Span(2, 3), label) for label in ("visits", NO_RELATION, NO_RELATION)]
    examples = [Example(f"p#{number}", ("Ann", "visits", "Oslo"), relations=(p,)) for number, p in enumerate(pairs)]
    targets = {example.id: np.log([[0.2, 0.8]]) for example in examples}
    distances = measure_distances(targets, targets, examples, examples)
    assert distances.of_group(ALL).num_decisions == 1
    assert distances.of_group(NO_RELATION).num_decisions == 2


def test_alignment_failed_if_the_views_differ_and_the_target_leads() -> None:
    cases = [
        (0, 0.05, 0.01, FindingVerdict.FOUND, "the views differ and the target leads"),
        (1, 0.05, 0.01, FindingVerdict.ABSENT, "the views agree"),
        (0, 0.005, 0.001, FindingVerdict.ABSENT, "the lead is small"),
        (0, 0.05, -0.01, FindingVerdict.ABSENT, "the lead is not significant"),
    ]
    for tag, lead, low, verdict, case in cases:
        target, student = log_probabilities(EXAMPLES, 1, 0.9), log_probabilities(EXAMPLES, tag, 0.9)
        distances = measure_distances(target, student, EXAMPLES, EXAMPLES)
        comparison = Comparison(
            0.8 + lead, 0.8, Interval(low, lead + 0.02), 0.01, 0.01, num_posts=2, num_differing=1, resamples=9, seed=0
        )
        assert alignment_finding(distances, comparison, [2.0, 1.0]).verdict is verdict, case


@pytest.mark.slow
def test_a_target_that_is_more_confident_in_training_has_memorised_its_labels(student: Student) -> None:
    example = Example("a", ("Ann", "visits", "Oslo"), (Entity(Span(0, 1), student.label_set.types[0]),))
    num_tags = len(student.label_set.tags)

    def targets(share: float) -> tuple[dict[str, np.ndarray], list[Example]]:
        gold = student.label_set.encode(example.entities, len(example.words))
        table = np.full((len(gold), num_tags), (1 - share) / (num_tags - 1))
        table[np.arange(len(gold)), gold] = share
        return {example.id: np.log(table)}, [example]

    cases = [(0.99, 0.8, True), (0.99, 0.98, False), (0.8, 0.6, False), (0.9, 0.4, True)]
    for on_train, on_held_out, is_found in cases:
        verdict = memory_finding(student, targets(on_train), targets(on_held_out)).verdict
        assert verdict is (FindingVerdict.FOUND if is_found else FindingVerdict.ABSENT), (on_train, on_held_out)
