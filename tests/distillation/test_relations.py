"""The task of relations is learnt, resumed, scored and distilled by the same code."""

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
from cotpd.student import checkpoint
from cotpd.student.student import Student


@pytest.fixture
def make(
    corpus: Corpus, configure: Callable[..., ExperimentConfig]
) -> Callable[..., tuple[Student, TrainingBatches, Any]]:
    def build(**objective: Any) -> tuple[Student, TrainingBatches, ExperimentConfig]:
        config = ExperimentConfig.of(configure(objective=objective).model_dump() | {"task": "relations"})
        student = build_student(corpus.train, corpus, config)
        return student, TrainingBatches(student, corpus.train, config), config

    return build


def test_every_pair_is_learnt_with_its_label(make: Callable[..., Any], corpus: Corpus) -> None:
    student, batches, _ = make()
    gold = [student.design.labels[batches.read([i], epoch=0).view.gold[0, 0]] for i in range(len(batches.examples))]
    assert sum(label != NO_RELATION for label in gold) == sum(len(example.relations) for example in corpus.train)
    assert NO_RELATION in gold


def test_pairs_too_far_apart_are_left_out_and_counted(
    make: Callable[..., Any], corpus: Corpus, caplog: pytest.LogCaptureFixture
) -> None:
    student, _, config = make()
    first, second, far = Span(0, 1), Span(3, 4), Span(590, 591)
    entities = tuple(Entity(span, "PER") for span in (first, second, far))
    relation = replace(next(r for post in corpus.train for r in post.relations), head=first, tail=second)
    caplog.clear()
    batches = TrainingBatches(student, [Example("doc", ("ab",) * 600, entities, (relation,))], config)
    assert len(batches.examples) == 2
    assert caplog.messages == ["omitted 4 pairs of entities that are too far apart"]
    with pytest.raises(DataError, match=r"^doc: the words from 'ab' to 'ab' are more than the encoder takes"):
        TrainingBatches(
            student, [Example("doc", ("ab",) * 600, entities, (relation, replace(relation, tail=far)))], config
        )


def test_the_pairs_of_a_post_are_called_as_no_other_post_is(make: Callable[..., Any], corpus: Corpus) -> None:
    """Readers call the second post `doc` `doc#2`, and targets are found by the id."""
    student, _, config = make()
    entities = tuple(Entity(Span(place, place + 1), "PER") for place in range(2))
    posts = [Example(name, ("a", "b", "c"), entities) for name in ("doc", "doc#1", "other")]
    ids = [example.id for example in TrainingBatches(student, posts, config).examples]
    assert ids == ["doc##0", "doc##1", "doc#1#0", "doc#1#1", "other#0", "other#1"]
    assert [example.id for example in expand_pairs(posts)] == ids


def test_a_pair_outside_of_its_post_is_named_at_once(make: Callable[..., Any], corpus: Corpus) -> None:
    student, _, config = make()
    relation = Relation(Span(0, 1), Span(2, 9), NO_RELATION)
    with pytest.raises(DataError, match=r"^bad: .* an example of 3 words"):
        TrainingBatches(student, [Example("bad", ("a", "b", "c"), relations=(relation,))], config)


@pytest.mark.parametrize(
    ("words", "relation", "message"),
    [
        (3, Relation(Span(0, 1), Span(2, 3), NO_RELATION), "^sample: no dev post has relations"),
        (3, Relation(Span(0, 1), Span(2, 9), "peer"), "^dev: .* an example of 3 words"),
        (600, Relation(Span(0, 1), Span(590, 591), "peer"), "^dev: .* more than the encoder takes"),
    ],
)
def test_dev_posts_that_no_epoch_could_be_scored_on_are_refused_before_the_first(
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


def test_every_weight_that_learns_is_moved(make: Callable[..., Any]) -> None:
    """A weight that no group holds keeps its first, random value, and its gradient piles up in the clipped norm."""
    student, _, config = make()
    held = [
        weight for group in build_optimizer(student, config.optimisation).param_groups for weight in group["params"]
    ]
    assert sorted(map(id, held)) == sorted(id(weight) for weight in student.parameters() if weight.requires_grad)


def test_markers_stand_around_head_and_tail(make: Callable[..., Any]) -> None:
    """Markers in the wrong places would make every pair of a post look alike."""
    student, batches, _ = make()
    for index in range(len(batches.examples)):
        example, view = batches.examples[index], batches.read([index], epoch=0).view
        (pair,) = example.relations
        opens, closes = view.markers[0, 0], view.markers[0, 1]
        assert opens + 1 == view.first_pieces[0, pair.head.start]
        last = student.reader.pieces.of(example.words)[pair.head.end - 1]
        words_between = view.first_pieces[0, pair.head.end - 1] + len(last)
        assert words_between <= closes


def test_a_run_is_trained_saved_and_loaded(make: Callable[..., Any], corpus: Corpus, tmp_path: Path) -> None:
    untrained, _, config = make()
    extractor = distill(corpus, config=config, out=tmp_path / "run")
    assert not torch.equal(untrained.markers, extractor.student.markers)
    loaded = checkpoint.load(tmp_path / "run" / "model")
    assert loaded.design == extractor.student.design
    assert torch.equal(loaded.markers, extractor.student.markers)
    expected = {(r.head, r.tail) for example in corpus.dev for r in example.relations}
    found = {(r.head, r.tail) for prediction in extractor.predict(corpus.dev) for r in prediction.relations}
    assert expected <= found
