"""Reversed pairs get the configured label, and never contradict a pair that the corpus states."""

import logging
from collections.abc import Callable

import pytest

from cotpd.core.config import ExperimentConfig
from cotpd.core.errors import UsageError
from cotpd.core.records import NO_RELATION, Example, Relation, Span
from cotpd.corpus.corpus import Corpus
from cotpd.distillation.recipe import build_student
from cotpd.distillation.training_batches import TrainingBatches
from cotpd.distillation.training_set.reversed_pairs import add_reversed_pairs
from cotpd.distillation.training_set.selection import TrainingSet

ANNA, BO, AJAX = Span(0, 1), Span(1, 2), Span(2, 3)
MEMBER, COUPLE = "/per/org/member_of", "/per/per/couple"
LABELS = (NO_RELATION, MEMBER, COUPLE)


def example(name: str, *relations: Relation, words: tuple[str, ...] = ("Anna", "Bo", "Ajax")) -> Example:
    """Return an example as MNRE has them: pairs without entities."""
    return Example(name, words, relations=relations, image_id=name)


def test_reversed_pair_gets_the_configured_label() -> None:
    """A student that was never trained on reversed pairs predicted a relation for 81 % of them."""
    train = [example("1", Relation(ANNA, AJAX, MEMBER)), example("2", Relation(ANNA, BO, COUPLE))]
    one, two = add_reversed_pairs(train, {MEMBER: NO_RELATION, COUPLE: COUPLE}, LABELS)
    assert one.relations == (Relation(ANNA, AJAX, MEMBER), Relation(AJAX, ANNA, NO_RELATION))
    assert two.relations == (Relation(ANNA, BO, COUPLE), Relation(BO, ANNA, COUPLE))


def test_pairs_with_other_labels_are_not_reversed() -> None:
    """Otherwise a symmetric relation would be trained as `None` in one direction."""
    train = (example("1", Relation(ANNA, BO, COUPLE)), example("2", Relation(ANNA, AJAX, NO_RELATION)))
    assert add_reversed_pairs(train, {MEMBER: NO_RELATION}, LABELS) == train
    assert add_reversed_pairs(train, {}, LABELS) == train


def test_reverse_stated_in_any_example_with_the_same_words_is_not_added(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    train = (
        example("1", Relation(ANNA, BO, MEMBER)),
        example("2", Relation(BO, ANNA, COUPLE)),
        example("3", Relation(ANNA, BO, MEMBER), words=("Bo", "Anna", "Ajax")),
    )
    examples = add_reversed_pairs(train, {MEMBER: NO_RELATION}, LABELS)
    assert examples[:2] == train[:2]
    assert examples[2].relations == (Relation(ANNA, BO, MEMBER), Relation(BO, ANNA, NO_RELATION))
    assert "1 added as None, 1 already stated" in caplog.text


@pytest.mark.parametrize("labels", [{"/per/per/cuple": COUPLE}, {COUPLE: "none"}])
def test_unknown_label_is_rejected(labels: dict[str, str]) -> None:
    """A typing error would silently skip the pairs or create a new label."""
    with pytest.raises(
        UsageError, match=r"training_set\.reversed_pairs: the corpus has no relation .*; choose from None, /per/org"
    ):
        add_reversed_pairs([], labels, LABELS)


def test_reversed_pairs_reach_training_batches_and_change_the_fingerprint(
    configure: Callable[..., ExperimentConfig],
) -> None:
    corpus = Corpus(
        train=(example("1", Relation(ANNA, AJAX, MEMBER)),), dev=(example("2", Relation(ANNA, AJAX, MEMBER)),)
    )
    config = configure(task="relations", training_set={"reversed_pairs": {MEMBER: NO_RELATION}})
    training_set = TrainingSet.of(corpus, config)
    student = build_student(training_set, corpus, config)
    batches = TrainingBatches(student, training_set.labelled, config)
    gold = {batches.examples[i].relations[0].head: batches.read([i], epoch=0).view.gold[0, 0] for i in range(2)}
    assert {head: student.design.labels[label] for head, label in gold.items()} == {ANNA: MEMBER, AJAX: NO_RELATION}
    assert training_set.fingerprint(config) != TrainingSet.of(corpus, configure(task="relations")).fingerprint(config)
    assert training_set.dev == corpus.dev
