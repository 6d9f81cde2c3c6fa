"""Every layer knows every task."""

from __future__ import annotations

from typing import get_args

from cotpd.cli.display.tasks import DISPLAYS
from cotpd.core.config import Task
from cotpd.core.records import NO_RELATION, Entity, Example, Relation, Span, TargetSentiment
from cotpd.core.tasks import ANNOTATIONS, marked_spans, task_of
from cotpd.core.units import split_units
from cotpd.distillation.tasks import LEARNING
from cotpd.evaluation.tasks import SCORING
from cotpd.inference.extractors import EXTRACTORS
from cotpd.inference.rows.extraction import ROW_TASKS
from cotpd.inference.tasks import DECODERS
from cotpd.student.tasks import OUTPUTS

ENTITY, PAIR = Entity(Span(0, 1), "PER"), Relation(Span(0, 1), Span(2, 3), "peer")
TARGET = TargetSentiment(Span(2, 3), "positive")
EXAMPLE = Example("x", ("a", "b", "c"), (ENTITY,), (PAIR,), sentiments=(TARGET,))


def test_each_table_has_each_task() -> None:
    tables = (ANNOTATIONS, SCORING, OUTPUTS, DECODERS, EXTRACTORS, LEARNING, ROW_TASKS, DISPLAYS)
    for table in tables:
        assert tuple(table) == get_args(Task)
    for task, scoring in SCORING.items():
        assert scoring.rule.task == EXTRACTORS[task].required_task == task


def test_annotations_are_read_replaced_and_stripped_of_their_labels() -> None:
    for number, (task, each) in enumerate(ANNOTATIONS.items()):
        assert each.of(each.replaced(EXAMPLE, [])) == ()
        assert each.of(EXAMPLE) == (EXAMPLE.annotations[number],)
        assert len(each.markers) == 2 * len(marked_spans(EXAMPLE, task))
        assert len(each.span_names) == len(each.of(EXAMPLE)[0].spans)
    assert ANNOTATIONS["entities"].without_labels(EXAMPLE).entities == ()
    assert [pair.label for pair in ANNOTATIONS["relations"].without_labels(EXAMPLE).relations] == [NO_RELATION]
    assert ANNOTATIONS["sentiment"].without_labels(EXAMPLE).sentiments[0].span == TARGET.span


def test_the_task_of_examples_is_that_of_their_annotations() -> None:
    assert task_of([EXAMPLE]) == "entities"
    assert task_of([Example("1", ("a",)), Example("2", ("a", "b", "c"), relations=(PAIR,))]) == "relations"
    assert task_of([Example("2", ("a", "b", "c"), sentiments=(TARGET,))]) == "sentiment"
    assert task_of([]) == "entities"


def test_units_have_ids_that_no_other_example_has() -> None:
    assert [unit.id for unit in split_units(EXAMPLE, [EXAMPLE])] == ["x"]
    assert [unit.id for unit in split_units(EXAMPLE, [EXAMPLE] * 2, taken={"x#1"})] == ["x##0", "x##1"]
    assert {unit.part_of for unit in split_units(EXAMPLE, [EXAMPLE] * 2)} == {"x"}


def test_sentiments_change_the_text_that_fingerprints_hash() -> None:
    plain = Example("x", ("a",))
    assert str(plain) == repr(plain)
    assert "sentiment" not in str(plain)
    assert str(EXAMPLE) != str(ANNOTATIONS["sentiment"].without_labels(EXAMPLE))
