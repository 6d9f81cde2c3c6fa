"""Relations are learned, scored, saved and distilled by the same code as entities."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from cotpd.core.config import ExperimentConfig
from cotpd.core.errors import DataError
from cotpd.core.pairs import expand_pairs
from cotpd.core.records import NO_RELATION, Entity, Example, Relation, Span
from cotpd.corpus.corpus import Corpus
from cotpd.distillation.objective import Objective
from cotpd.distillation.optimisation import build_optimizer
from cotpd.distillation.recipe import build_student, distill
from cotpd.distillation.training_batches import TrainingBatches
from cotpd.distillation.training_set.selection import TrainingSet
from cotpd.student import checkpoint
from cotpd.student.student import Student


@pytest.fixture
def make(
    corpus: Corpus, configure: Callable[..., ExperimentConfig]
) -> Callable[..., tuple[Student, TrainingBatches, Any]]:
    def build(**objective: Any) -> tuple[Student, TrainingBatches, ExperimentConfig]:
        config = configure(task="relations", objective=objective)
        student = build_student(TrainingSet.of(corpus, config), corpus, config)
        return student, TrainingBatches(student, corpus.train, config), config

    return build


def test_every_pair_is_a_unit_with_its_label(make: Callable[..., Any], corpus: Corpus) -> None:
    student, batches, _ = make()
    gold = [student.design.labels[batches.read([i], epoch=0).view.gold[0, 0]] for i in range(len(batches.examples))]
    assert sum(label != NO_RELATION for label in gold) == sum(len(example.relations) for example in corpus.train)
    assert NO_RELATION in gold


def test_pairs_that_are_too_far_apart_are_omitted_with_a_warning(
    make: Callable[..., Any], corpus: Corpus, caplog: pytest.LogCaptureFixture
) -> None:
    student, _, config = make()
    first, second, far = Span(0, 1), Span(3, 4), Span(590, 591)
    entities = tuple(Entity(span, "PER") for span in (first, second, far))
    relation = replace(next(r for post in corpus.train for r in post.relations), head=first, tail=second)
    caplog.clear()
    batches = TrainingBatches(student, [Example("doc", ("ab",) * 600, entities, (relation,))], config)
    assert len(batches.examples) == 2
    assert caplog.messages == ["omitted 4 pairs of entities that are too far apart to be read together"]
    with pytest.raises(
        DataError, match=r"^doc: the words from 'ab' to 'ab' have [0-9]+ pieces, but the encoder accepts at most"
    ):
        TrainingBatches(
            student, [Example("doc", ("ab",) * 600, entities, (relation, replace(relation, tail=far)))], config
        )


def test_ids_of_pairs_differ_from_all_other_ids(make: Callable[..., Any], corpus: Corpus) -> None:
    """Readers rename a second `doc` to `doc#2`, and recorded targets are looked up by id."""
    student, _, config = make()
    entities = tuple(Entity(Span(place, place + 1), "PER") for place in range(2))
    posts = [Example(name, ("a", "b", "c"), entities) for name in ("doc", "doc#1", "other")]
    ids = [example.id for example in TrainingBatches(student, posts, config).examples]
    assert ids == ["doc##0", "doc##1", "doc#1#0", "doc#1#1", "other#0", "other#1"]
    assert [example.id for example in expand_pairs(posts)] == ids


def test_a_pair_outside_its_example_is_an_error_that_names_it(make: Callable[..., Any], corpus: Corpus) -> None:
    student, _, config = make()
    relation = Relation(Span(0, 1), Span(2, 9), NO_RELATION)
    with pytest.raises(DataError, match=r"^bad: .* the example has 3 words"):
        TrainingBatches(student, [Example("bad", ("a", "b", "c"), relations=(relation,))], config)


@pytest.mark.parametrize(
    ("words", "relation", "message"),
    [
        (3, Relation(Span(0, 1), Span(2, 3), NO_RELATION), "no dev example has relations"),
        (3, Relation(Span(0, 1), Span(2, 9), "peer"), "^dev: .* the example has 3 words"),
        (600, Relation(Span(0, 1), Span(590, 591), "peer"), "^dev: .* but the encoder accepts at most"),
    ],
)
def test_dev_examples_that_cannot_be_scored_are_an_error_before_training(
    make: Callable[..., Any], corpus: Corpus, tmp_path: Path, words: int, relation: Relation, message: str
) -> None:
    _, _, config = make()
    dev = Example("dev", ("ab",) * words, relations=(relation,))
    with pytest.raises(DataError, match=message):
        distill(replace(corpus, dev=(dev,)), config=config, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("alignment", ["marginals", "emissions", "paths"])
def test_both_views_of_a_pair_are_aligned(make: Callable[..., Any], alignment: str) -> None:
    student, batches, config = make(alignment=alignment)
    step = batches.read(batches.batches(0)[0], epoch=0)
    losses = Objective(student.eval(), config.objective)(step.view, step.target)
    losses.total.backward()
    assert float(losses.alignment.detach()) > 0
    assert student.markers is not None
    assert all(weight.grad is not None for weight in student.parameters())


def test_the_optimizer_contains_every_trainable_weight(make: Callable[..., Any]) -> None:
    """A weight without a group keeps its initial value, and its gradient still counts in the clipped norm."""
    student, _, config = make()
    held = [
        weight for group in build_optimizer(student, config.optimisation).param_groups for weight in group["params"]
    ]
    assert sorted(map(id, held)) == sorted(id(weight) for weight in student.parameters() if weight.requires_grad)


def test_markers_enclose_the_head_and_the_tail(make: Callable[..., Any]) -> None:
    """With misplaced markers all pairs of an example would look the same."""
    student, batches, _ = make()
    for index in range(len(batches.examples)):
        example, view = batches.examples[index], batches.read([index], epoch=0).view
        (pair,) = example.relations
        opens, closes = view.markers[0, 0], view.markers[0, 1]
        assert opens + 1 == view.first_pieces[0, pair.head.start]
        last = student.reader.pieces.of(example.words)[pair.head.end - 1]
        words_between = view.first_pieces[0, pair.head.end - 1] + len(last)
        assert words_between <= closes


def test_a_trained_run_is_saved_and_loaded(make: Callable[..., Any], corpus: Corpus, tmp_path: Path) -> None:
    untrained, _, config = make()
    extractor = distill(corpus, config=config, out=tmp_path / "run")
    assert not torch.equal(untrained.markers, extractor.student.markers)
    loaded = checkpoint.load(tmp_path / "run" / "model")
    assert loaded.design == extractor.student.design
    assert torch.equal(loaded.markers, extractor.student.markers)
    expected = {(r.head, r.tail) for example in corpus.dev for r in example.relations}
    found = {(r.head, r.tail) for prediction in extractor.predict(corpus.dev) for r in prediction.relations}
    assert expected <= found
