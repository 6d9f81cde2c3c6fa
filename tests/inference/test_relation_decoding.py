"""Relations are decoded for the pairs of a post, whatever their gold label."""

from pathlib import Path

import pytest
import torch

from cotpd.core.config import PromptConfig, StudentConfig, ViewConfig
from cotpd.core.labels import LabelSet
from cotpd.core.pairs import one_pair_each, pairs, relation_labels
from cotpd.core.records import NO_RELATION, Entity, Example, Relation, Span
from cotpd.core.splitting import Rule
from cotpd.inference.decoding import decode
from cotpd.student.encoder import TextEncoder
from cotpd.student.student import Design, Student
from cotpd.views.view import ViewKind

ANA, RIO, OSLO = Span(0, 1), Span(2, 3), Span(4, 6)
POST = Example(
    "1",
    ("ana", "in", "rio", "not", "new", "oslo"),
    (Entity(ANA, "PER"), Entity(RIO, "LOC"), Entity(OSLO, "LOC")),
    (Relation(ANA, RIO, "lives_in"),),
)
MARKED = Example("2", ("x", "y", "z"), relations=(Relation(Span(1, 3), Span(0, 2), NO_RELATION),))


@pytest.fixture
def student(tiny_encoder: Path) -> Student:
    encoder, tokenizer = TextEncoder.from_pretrained(str(tiny_encoder))
    torch.manual_seed(1)
    design = Design(
        task="relations",
        label_set=LabelSet.of(["PER", "LOC"]),
        relations=(NO_RELATION, "lives_in", "part_of"),
        student=StudentConfig(encoder="tiny"),
        prompt=PromptConfig(heads=2),
        views=ViewConfig(),
        ships=ViewKind.PROMPT,
        splitting=Rule.FINE,
    )
    return Student(encoder, tokenizer, design)


def test_the_pairs_of_a_post_are_the_stated_and_the_unrelated() -> None:
    found = pairs(POST)
    assert found[0] == POST.relations[0]
    assert {(pair.head, pair.tail) for pair in found[1:]} == {
        (ANA, OSLO),
        (RIO, ANA),
        (RIO, OSLO),
        (OSLO, ANA),
        (OSLO, RIO),
    }
    assert {pair.label for pair in found[1:]} == {NO_RELATION}
    assert pairs(MARKED) == MARKED.relations
    assert len({example.id for example in one_pair_each([POST, MARKED])}) == 7
    assert relation_labels([POST, MARKED]) == (NO_RELATION, "lives_in")


@pytest.mark.parametrize("kind", ViewKind)
def test_each_pair_gets_one_label_in_order(student: Student, kind: ViewKind) -> None:
    predictions = list(decode(student, [POST, MARKED, Example("3", ("no", "pair"))], kind=kind, batch_size=4))
    assert [prediction.id for prediction in predictions] == ["1", "2", "3"]
    for example, prediction in zip((POST, MARKED), predictions, strict=False):
        assert [(r.head, r.tail) for r in prediction.relations] == [(r.head, r.tail) for r in pairs(example)]
        assert all(0 < (relation.score or 0) <= 1 for relation in prediction.relations)
    assert predictions[2].relations == ()


def test_gold_labels_are_not_looked_at(student: Student) -> None:
    other = Example(POST.id, POST.words, POST.entities, (Relation(ANA, RIO, NO_RELATION),))
    assert list(decode(student, [POST], kind=ViewKind.PROMPT)) == list(decode(student, [other], kind=ViewKind.PROMPT))


def test_batches_do_not_matter(student: Student) -> None:
    def scores(batch_size: int) -> list[float]:
        found = decode(student, [POST, MARKED], kind=ViewKind.PROMPT, batch_size=batch_size)
        return [relation.score or 0.0 for prediction in found for relation in prediction.relations]

    assert scores(1) == pytest.approx(scores(8), abs=1e-5)


def test_direction_matters(student: Student) -> None:
    """A head that reads the pair as a set could never tell parent from child."""
    (prediction,) = decode(student, [POST], kind=ViewKind.TEXT)
    by_pair = {(relation.head, relation.tail): relation.score for relation in prediction.relations}
    assert by_pair[ANA, RIO] != pytest.approx(by_pair[RIO, ANA], abs=1e-6)
