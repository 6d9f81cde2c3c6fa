"""The evaluation of a loaded student: its views, its reports by task, and which pairs of entities it classifies."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cotpd.core.errors import UsageError
from cotpd.core.pairs import pairs
from cotpd.core.records import NO_RELATION, Entity, Example, Relation, Span
from cotpd.corpus.corpus import Corpus
from cotpd.evaluation import evaluate
from cotpd.evaluation.report import Report
from cotpd.inference.decoding import decode
from cotpd.inference.student_evaluation import EvaluationSet, all_pairs_set, evaluate_student, score_student
from cotpd.student.student import Student
from cotpd.views.view import ViewKind


@pytest.fixture(scope="module")
def relation_student(make_relation_student: Callable[..., Student]) -> Student:
    return make_relation_student()


@pytest.fixture(scope="module")
def dev(sample: Corpus) -> tuple[Example, ...]:
    return sample.dev[:6]


def listed(words: str, head: int, tail: int, label: str) -> Example:
    """An example that states one pair and marks no entities, as MNRE has them."""
    relation = Relation(Span(head, head + 1), Span(tail, tail + 1), label)
    return Example(f"{words}:{tail}", tuple(words.split()), relations=(relation,), image_id=words[:3])


PAIRS = [
    listed("Ann left Oslo for Rome", 0, 2, "lives_in"),
    listed("Ann left Oslo for Rome", 0, 4, NO_RELATION),
    listed("Bob and Cleo", 0, 2, NO_RELATION),
]


def num_pairs(report: Report) -> list[int]:
    """Return the numbers of pairs that are unrelated, related and unknown in gold."""
    assert report.co_occurrence
    claims = report.co_occurrence.by_status
    return [claims["unrelated"].pairs, claims["related"].pairs, claims["unknown"].pairs]


def test_each_view_is_scored_as_it_is_decoded(student: Student, dev: tuple[Example, ...]) -> None:
    for view in (None, *ViewKind):
        expected = evaluate(decode(student, dev, kind=view or ViewKind.PROMPT), dev)
        report = evaluate_student(student, EvaluationSet.as_stated(dev), view=view)
        assert report.scores.by_type == expected.by_type, view
        assert expected.total.predicted > 10
        if view:
            assert score_student(student, dev, view=view, resamples=0).by_type == expected.by_type


def test_the_entity_report_separates_seen_and_unseen_entities(student: Student, sample: Corpus) -> None:
    dev = sample.dev[:6]
    without = evaluate_student(student, EvaluationSet.as_stated(dev))
    assert [scores.rule for scores in without.secondary] == ["boundaries", "overlap"]
    report = evaluate_student(student, EvaluationSet.as_stated(dev, train=sample.train), mode="strict")
    assert [scores.mode for scores in (report.scores, *report.secondary)] == ["strict"] * 4
    assert "entities unseen in training" in str(report)


def test_progress_counts_the_predicted_examples(student: Student, dev: tuple[Example, ...]) -> None:
    seen: list[tuple[int, int]] = []
    evaluate_student(student, EvaluationSet.as_stated(dev), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(number, 6) for number in range(1, 7)]


def test_a_view_that_the_student_cannot_read_is_a_usage_error(
    make_loud_student: Callable[..., Student], dev: tuple[Example, ...]
) -> None:
    with pytest.raises(UsageError, match="without prompts"):
        evaluate_student(make_loud_student(ViewKind.TEXT), EvaluationSet.as_stated(dev), view=ViewKind.PROMPT)


def test_stated_pairs_are_counted_by_what_gold_says(relation_student: Student) -> None:
    report = evaluate_student(relation_student, EvaluationSet.as_stated(PAIRS))
    assert (num_pairs(report), report.scores.total.support) == ([2, 1, 0], 1)
    assert report.co_occurrence
    claims = report.co_occurrence.by_status
    assert claims["unrelated"].claimed + claims["related"].claimed == report.scores.total.predicted


def test_all_pairs_are_classified_once_and_pairs_that_gold_does_not_state_are_not_scored(
    relation_student: Student,
) -> None:
    """The first text has three entities, so six ordered pairs, two of them stated; the second has two, one stated."""
    stated = evaluate_student(relation_student, EvaluationSet.as_stated(PAIRS))
    every = evaluate_student(relation_student, all_pairs_set(relation_student, PAIRS))
    assert (num_pairs(every), len(every.scores.ids)) == ([2, 1, 5], 2)
    assert every.scores.total == stated.scores.total


def test_all_pairs_of_marked_entities_are_the_stated_ones(relation_student: Student, sample: Corpus) -> None:
    """A corpus that marks entities states every relation, so a pair without one is unrelated."""
    dev = sample.dev[:6]
    report = evaluate_student(relation_student, all_pairs_set(relation_student, dev))
    assert sum(num_pairs(report)) == sum(len(pairs(example)) for example in dev)
    assert num_pairs(report)[2] == 0
    assert num_pairs(report) == num_pairs(evaluate_student(relation_student, EvaluationSet.as_stated(dev)))


def test_an_entity_finder_provides_the_entities(student: Student, relation_student: Student) -> None:
    words = ("Ann", "left", "Oslo", "for", "Rome")
    relation = Relation(Span(0, 1), Span(2, 3), "lives_in")
    gold = Example("a", words, (Entity(Span(0, 1), "PER"), Entity(Span(2, 3), "LOC")), (relation,))
    report = evaluate_student(relation_student, all_pairs_set(relation_student, [gold], entity_finder=student))
    [found] = decode(student, [gold], kind=ViewKind.PROMPT)
    assert sum(num_pairs(report)) == len(found.entities) * (len(found.entities) - 1) > 1
    assert num_pairs(report)[2] == 0
    assert report.scores.total.support == 1


def test_all_pairs_need_a_relation_student_and_an_entity_finder(student: Student, relation_student: Student) -> None:
    with pytest.raises(UsageError, match="expected a run trained on relations, got one trained on entities"):
        all_pairs_set(student, PAIRS)
    with pytest.raises(UsageError, match="expected a run trained on entities, got one trained on relations"):
        all_pairs_set(relation_student, PAIRS, entity_finder=relation_student)
