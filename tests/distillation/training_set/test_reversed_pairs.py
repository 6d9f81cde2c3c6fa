"""The reverse of a stated pair is learnt under the label that the configuration gives, and never against gold."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from cotpd.core.config import ExperimentConfig
from cotpd.core.errors import UsageError
from cotpd.core.records import NO_RELATION, Example, Relation, Span
from cotpd.corpus.corpus import Corpus
from cotpd.distillation.recipe import build_student
from cotpd.distillation.training_batches import TrainingBatches
from cotpd.distillation.training_set.reversed_pairs import with_reversed_pairs
from cotpd.distillation.training_set.selection import Material, training_posts

ANNA, BO, AJAX = Span(0, 1), Span(1, 2), Span(2, 3)
MEMBER, COUPLE = "/per/org/member_of", "/per/per/couple"
LABELS = (NO_RELATION, MEMBER, COUPLE)


def line(name: str, *relations: Relation, words: tuple[str, ...] = ("Anna", "Bo", "Ajax")) -> Example:
    """A line of MNRE: a post with one pair, no entities."""
    return Example(name, words, relations=relations, image_id=name)


def test_each_reverse_has_the_label_that_is_set() -> None:
    """81 % of reversed pairs were claimed related: the student had never read one."""
    train = [line("1", Relation(ANNA, AJAX, MEMBER)), line("2", Relation(ANNA, BO, COUPLE))]
    one, two = with_reversed_pairs(train, {MEMBER: NO_RELATION, COUPLE: COUPLE}, LABELS)
    assert one.relations == (Relation(ANNA, AJAX, MEMBER), Relation(AJAX, ANNA, NO_RELATION))
    assert two.relations == (Relation(ANNA, BO, COUPLE), Relation(BO, ANNA, COUPLE))


def test_a_label_that_is_not_named_keeps_one_direction() -> None:
    """Else a symmetric relation would be learnt as none in every other reading."""
    train = (line("1", Relation(ANNA, BO, COUPLE)), line("2", Relation(ANNA, AJAX, NO_RELATION)))
    assert with_reversed_pairs(train, {MEMBER: NO_RELATION}, LABELS) == train
    assert with_reversed_pairs(train, {}, LABELS) == train


def test_a_reverse_that_the_post_states_is_left_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    """It may stand on another line, or with another picture: the student reads the same words."""
    caplog.set_level(logging.INFO)
    train = (
        line("1", Relation(ANNA, BO, MEMBER)),
        line("2", Relation(BO, ANNA, COUPLE)),
        line("3", Relation(ANNA, BO, MEMBER), words=("Bo", "Anna", "Ajax")),
    )
    found = with_reversed_pairs(train, {MEMBER: NO_RELATION}, LABELS)
    assert found[:2] == train[:2]
    assert found[2].relations == (Relation(ANNA, BO, MEMBER), Relation(BO, ANNA, NO_RELATION))
    assert "1 as None, 1 stated already" in caplog.text


@pytest.mark.parametrize("labels", [{"/per/per/cuple": COUPLE}, {COUPLE: "none"}])
def test_a_label_that_no_post_has_is_refused(labels: dict[str, str]) -> None:
    """A typing error would leave the pairs out in silence, or invent a label."""
    with pytest.raises(UsageError, match=r"data\.reversed_pairs: no post has .*; there are None, /per/org"):
        with_reversed_pairs([], labels, LABELS)


def test_the_reverse_is_learnt_and_a_run_begun_without_is_another(
    configure: Callable[..., ExperimentConfig], tiny_encoder: Path
) -> None:
    corpus = Corpus(train=(line("1", Relation(ANNA, AJAX, MEMBER)),), dev=(line("2", Relation(ANNA, AJAX, MEMBER)),))
    config = ExperimentConfig.of(configure(data={"reversed_pairs": {MEMBER: NO_RELATION}}).model_dump())
    config = config.model_copy(update={"task": "relations"})
    train = training_posts(corpus, config)
    student = build_student(train, corpus, config)
    feed = TrainingBatches(student, train, config)
    gold = {feed.examples[i].relations[0].head: feed.read([i], epoch=0).view.gold[0, 0] for i in range(2)}
    assert {head: student.design.labels[label] for head, label in gold.items()} == {ANNA: MEMBER, AJAX: NO_RELATION}
    assert Material.of(corpus, config).fingerprint(config) != Material.of(corpus, configure()).fingerprint(config)
    assert corpus.dev == (line("2", Relation(ANNA, AJAX, MEMBER)),)
