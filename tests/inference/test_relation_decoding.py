"""Relations are decoded for the pairs of a post, whatever their gold label."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest
import torch

from cotpd.core.errors import DataError
from cotpd.core.pairs import REACH, expand_pairs, num_pairs, pairs, relation_labels
from cotpd.core.records import NO_RELATION, Entity, Example, Relation, Span
from cotpd.inference.decoding import decode
from cotpd.inference.tasks import marked_spans
from cotpd.student.design import Design, PromptDesign
from cotpd.student.encoder import TextEncoder
from cotpd.student.student import Student
from cotpd.views.view import View, ViewKind

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
        "relations", (NO_RELATION, "lives_in", "part_of"), ViewKind.PROMPT, PromptDesign(heads=2), encoder="tiny"
    )
    return Student(encoder, tokenizer, design)


def test_pairs_are_the_stated_relations_and_all_unrelated_pairs() -> None:
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
    assert len({example.id for example in expand_pairs([POST, MARKED])}) == 7
    assert relation_labels([POST, MARKED]) == (NO_RELATION, "lives_in")


def test_distant_entities_form_a_pair_only_if_stated() -> None:
    first, near, far = Span(0, 1), Span(1 + REACH, 2 + REACH), Span(2 + REACH, 3 + REACH)
    post = Example("1", ("a",) * (3 + REACH), tuple(Entity(span, "PER") for span in (first, near, far)))
    near_pairs = {(first, near), (near, first), (near, far), (far, near)}
    assert {(pair.head, pair.tail) for pair in pairs(post)} == near_pairs
    stated = replace(post, relations=(Relation(far, first, "part_of"),))
    assert {(pair.head, pair.tail) for pair in pairs(stated)} == {*near_pairs, (far, first)}


def test_pairs_and_their_number_equal_those_of_brute_force() -> None:
    """A document with 2,000 entities has 4 million ordered pairs, which must not all be built."""
    spans = [Span(start, start + length) for start in (150, 0, 3, 70, 40, 149) for length in (1, 5, 3, 1)]
    stated = (Relation(spans[0], spans[4], "a"), Relation(spans[0], spans[4], "b"), Relation(Span(7, 9), spans[0], "a"))
    post = Example("1", ("a",) * 200, tuple(Entity(span, "PER") for span in spans), stated)
    given = {(pair.head, pair.tail) for pair in stated}
    every = [pair for pair in permutations(dict.fromkeys(spans), 2) if pair not in given]
    near = [(h, t) for h, t in every if max(h.start, t.start) - min(h.end, t.end) <= 30]
    assert 0 < len(near) < len(every)
    assert [(pair.head, pair.tail) for pair in pairs(post, reach=30)[len(stated) :]] == near
    assert num_pairs(post) == len(stated) + len(every) == len(pairs(post, reach=200))


@pytest.mark.parametrize("words", [("ab",) * 600, ("a" * 60,) * 12])
def test_pairs_that_do_not_fit_the_encoder_are_omitted_with_a_warning(
    student: Student, words: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    """One distant mention must not end the evaluation of a corpus."""
    first, second, far = Span(0, 1), Span(2, 3), Span(len(words) - 1, len(words))
    post = Example("doc", words, tuple(Entity(span, "PER") for span in (first, second, far)))
    [prediction] = decode(student, [post], kind=ViewKind.PROMPT)
    assert {(pair.head, pair.tail) for pair in prediction.relations} == {(first, second), (second, first)}
    assert caplog.messages == ["omitted 4 pairs of entities that are too far apart to be read together"]


def test_a_stated_pair_that_does_not_fit_the_encoder_is_a_data_error(student: Student) -> None:
    far = Relation(Span(0, 1), Span(590, 591), "part_of")
    post = Example("doc", ("ana", *("ab",) * 589, "oslo"), relations=(Relation(Span(0, 1), Span(2, 3), "part_of"), far))
    with pytest.raises(DataError, match=r"^doc: the words from 'ana' to 'oslo' have .* remove this annotation"):
        list(decode(student, [post], kind=ViewKind.TEXT))


def test_a_pair_with_two_gold_labels_is_classified_once(student: Student) -> None:
    post = replace(POST, relations=(Relation(ANA, RIO, "lives_in"), Relation(ANA, RIO, "part_of")))
    assert list(decode(student, [post], kind=ViewKind.PROMPT)) == list(decode(student, [POST], kind=ViewKind.PROMPT))


def test_pairs_of_a_document_are_read_in_pools(student: Student, monkeypatch: pytest.MonkeyPatch) -> None:
    """The views of all pairs in a pool of documents would not fit into memory."""
    spans = [Span(number, number + 1) for number in range(12)]
    post = Example("doc", ("ab",) * 12, tuple(Entity(span, "PER") for span in spans))
    num_read: list[int] = []
    label = marked_spans.classify_views

    def counting(student: Student, views: Sequence[View], batch_size: int) -> list[tuple[str, float]]:
        num_read.append(len(views))
        return label(student, views, batch_size)

    monkeypatch.setattr(marked_spans, "classify_views", counting)
    [prediction] = decode(student, [post], kind=ViewKind.TEXT, batch_size=2)
    assert [(pair.head, pair.tail) for pair in prediction.relations] == [(p.head, p.tail) for p in pairs(post)]
    assert num_read == [64, 64, 4]


@pytest.mark.parametrize("kind", ViewKind)
def test_each_pair_gets_one_label_in_order(student: Student, kind: ViewKind) -> None:
    predictions = list(decode(student, [POST, MARKED, Example("3", ("no", "pair"))], kind=kind, batch_size=4))
    assert [prediction.id for prediction in predictions] == ["1", "2", "3"]
    for example, prediction in zip((POST, MARKED), predictions, strict=False):
        assert [(r.head, r.tail) for r in prediction.relations] == [(r.head, r.tail) for r in pairs(example)]
        assert all(0 < (relation.score or 0) <= 1 for relation in prediction.relations)
    assert predictions[2].relations == ()


def test_gold_labels_do_not_influence_predictions(student: Student) -> None:
    other = Example(POST.id, POST.words, POST.entities, (Relation(ANA, RIO, NO_RELATION),))
    assert list(decode(student, [POST], kind=ViewKind.PROMPT)) == list(decode(student, [other], kind=ViewKind.PROMPT))


def test_batch_size_does_not_change_scores(student: Student) -> None:
    def scores(batch_size: int) -> list[float]:
        found = decode(student, [POST, MARKED], kind=ViewKind.PROMPT, batch_size=batch_size)
        return [relation.score or 0.0 for prediction in found for relation in prediction.relations]

    assert scores(1) == pytest.approx(scores(8), abs=1e-5)


def test_scores_depend_on_the_direction_of_a_pair(student: Student) -> None:
    """A head that ignores the order of a pair could not distinguish parent from child."""
    (prediction,) = decode(student, [POST], kind=ViewKind.TEXT)
    by_pair = {(relation.head, relation.tail): relation.score for relation in prediction.relations}
    assert by_pair[ANA, RIO] != pytest.approx(by_pair[RIO, ANA], abs=1e-6)
