"""Decoding: order, windows, scores and modes, checked against the slow and plain way."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cotpd.core.errors import TrainingError, UsageError
from cotpd.core.labels import LabelSet, to_entities
from cotpd.core.records import Caption, Entity, Example, Span
from cotpd.inference import decoding, windows
from cotpd.inference.decoding import decode
from cotpd.inference.tasks import entities as entity_decoding
from cotpd.student.crf.log_space import Chain
from cotpd.student.student import Student
from cotpd.views.batch import Batch
from cotpd.views.view import View, ViewKind


def post(length: int, seed: int = 0) -> Example:
    letters = random.Random(f"{length} {seed}")
    return Example(f"{length}-{seed}", tuple("".join(letters.choices("abcdefgh", k=3)) for _ in range(length)))


def alone(student: Student, example: Example, kind: ViewKind) -> tuple[Entity, ...]:
    """The plain way: one post, the tags of the best path, the entities they mark."""
    batch = Batch.of([student.reader.read(example, kind)], pad=student.reader.pieces.pad)
    with torch.inference_mode():
        [path] = student.crf.viterbi(student(batch), student.tensor(batch.word_mask)).tolist()
    return student.label_set.decode(path)


def test_running_out_of_memory_names_the_batch_size(student: Student, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(Student, "forward", full)
    with pytest.raises(TrainingError, match="out of memory; lower batch_size"):
        list(decode(student, [post(2)], kind=ViewKind.TEXT))


@pytest.mark.parametrize("kind", ViewKind)
@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_batching_changes_neither_order_nor_predictions(student: Student, kind: ViewKind, batch_size: int) -> None:
    """Guards against results that sorting swapped, and against padding that leaks into neighbours."""
    examples = [post(length, seed) for seed in range(4) for length in (5, 1, 0, 30, 2, 12)]
    found = list(decode(student, examples, kind=kind, batch_size=batch_size))
    assert [(prediction.id, prediction.words) for prediction in found] == [(each.id, each.words) for each in examples]
    assert any(prediction.entities for prediction in found)
    for prediction, example in zip(found, examples, strict=True):
        assert prediction.entities == (alone(student, example, kind) if example.words else ())


@pytest.mark.parametrize("scheme", ["BIO", "BIOES"])
def test_score_is_the_probability_of_the_entity_under_the_crf(
    make_loud_student: Callable[..., Student], scheme: str
) -> None:
    """Brute force: the weight of all tag sequences that mark the entity, over the weight of all that are allowed."""
    student = make_loud_student(ViewKind.TEXT, scheme=scheme)
    checked = 0
    for seed in range(8):
        example = post(4, seed)
        batch = Batch.of([student.reader.read(example, ViewKind.TEXT)], pad=student.reader.pieces.pad)
        paths = torch.cartesian_prod(*[torch.arange(len(student.label_set.tags))] * 4)
        with torch.inference_mode():
            emissions = student(batch).double().expand(len(paths), -1, -1)
            shares = student.crf.score(emissions, paths, torch.ones_like(paths, dtype=torch.bool)).softmax(0)
        likely = [(path, share) for path, share in zip(paths.tolist(), shares.tolist(), strict=True) if share > 1e-9]
        [prediction] = decode(student, [example], kind=ViewKind.TEXT)
        for entity in prediction.entities:
            marking = sum(share for path, share in likely if entity in student.label_set.decode(path))
            assert entity.score == pytest.approx(marking, abs=1e-6)
            checked += 1
    assert checked > 3


def test_scoring_many_entities_needs_a_constant_number_of_passes(
    make_loud_student: Callable[..., Student], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scored one by one, each over its whole window, a text full of entities took minutes."""
    student = make_loud_student(ViewKind.TEXT)
    torch.nn.init.zeros_(student.head.project.weight)
    with torch.no_grad():
        student.head.project.bias.copy_(torch.tensor([9.0 * (tag == "B-PER") for tag in student.label_set.tags]))
    num_rows: list[int] = []
    build = student.crf._chain

    def counting(emissions: Tensor, mask: Tensor) -> Chain:
        num_rows.append(len(emissions))
        return build(emissions, mask)

    monkeypatch.setattr(student.crf, "_chain", counting)
    [prediction] = decode(student, [post(100)], kind=ViewKind.TEXT)
    assert len(prediction.entities) == 100
    assert sum(num_rows) <= 3


@given(st.lists(st.lists(st.integers(0, 6), max_size=8), min_size=1, max_size=5))
def test_vectorised_spans_equal_those_of_the_tags(rows: list[list[int]]) -> None:
    """The vectorised way finds what `to_entities` finds on every path that the scheme allows."""
    label_set = LabelSet.of(["A", "B", "C"])
    tags = label_set.tags
    width = max(map(len, rows))
    legal = [list(_repaired(row, tags)) + [0] * (width - len(row)) for row in rows]
    path = np.array(legal, dtype=np.int64).reshape(len(rows), width)
    found, starts, ends = entity_decoding.entity_spans(path, entity_decoding.TagMeanings.of(label_set))
    plain = [
        (row, e.span.start, e.span.end) for row, ids in enumerate(legal) for e in to_entities([tags[i] for i in ids])
    ]
    assert list(zip(found.tolist(), starts.tolist(), ends.tolist(), strict=True)) == plain


def _repaired(row: list[int], tags: tuple[str, ...]) -> Iterator[int]:
    before = "O"
    for index in row:
        tag = tags[index]
        if tag.startswith("I") and before[1:] != tag[1:]:
            tag = "B" + tag[1:]
        before = tag
        yield tags.index(tag)


@pytest.mark.parametrize("kind", [ViewKind.TEXT, ViewKind.PROMPT, ViewKind.KNOWLEDGE])
def test_a_long_text_is_decoded_to_its_end(student: Student, kind: ViewKind) -> None:
    """Guards against silent truncation: an encoder accepts 512 pieces, these posts have thousands."""
    long = post(2_000)
    example = Example(long.id, long.words, caption=Caption("i", "a beach"))
    [prediction] = decode(student, [example], kind=kind)
    assert prediction.words == example.words
    starts = [entity.span.start for entity in prediction.entities]
    assert starts == sorted(starts)
    assert starts[-1] > 1_900
    assert all(before.span.end <= after.span.start for before, after in pairwise(prediction.entities))


def test_windows_of_long_words_take_linear_time(student: Student) -> None:
    """Few words fit a window here: an overlap of as many would read each word over and over."""
    pasted = ["zq" * 40] * 200
    found = list(student.reader.windows(pasted, overlap=windows._OVERLAP))
    assert sum(window.end - window.start for window in found) <= 2 * len(pasted)


def test_an_entity_comes_from_the_window_with_more_context(student: Student, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each window marks its outermost words; what the middle of another window covers must be left to that one."""
    seen: list[int] = []

    def marked(student: Student, tags: object, views: list[object]) -> Iterator[tuple[int, Entity]]:
        for row, view in enumerate(views):
            last = len(view.first_pieces)  # type: ignore[attr-defined]
            seen.append(last)
            yield row, Entity(Span(0, 1), "PER", score=0.5)
            yield row, Entity(Span(last // 2, last // 2 + 1), "LOC", score=0.5)
            yield row, Entity(Span(last - 1, last), "ORG", score=0.5)

    monkeypatch.setattr(entity_decoding, "_entities", marked)
    [prediction] = decode(student, [post(400)], kind=ViewKind.TEXT)
    labels = [entity.label for entity in prediction.entities]
    assert len(seen) > 2
    assert labels == ["PER", *["LOC"] * len(seen), "ORG"]


def test_batches_hold_texts_of_similar_lengths(student: Student, monkeypatch: pytest.MonkeyPatch) -> None:
    """Padding is paid for in full: a batch of posts in their own order would be half padding here."""
    lengths: list[list[int]] = []

    def counted(student: object, tags: object, views: list[View]) -> Iterator[tuple[int, Entity]]:
        lengths.append([len(view.ids) for view in views])
        return iter(())

    monkeypatch.setattr(entity_decoding, "_entities", counted)
    list(decode(student, [post(length, seed) for seed in range(30) for length in (1, 4, 16)], kind=ViewKind.TEXT))
    assert sum(map(len, lengths)) == 90
    assert all(len(set(batch)) == 1 for batch in lengths)
    assert max(map(len, lengths)) <= 32


def test_bfloat16_predicts_nearly_the_same_as_float32(student: Student) -> None:
    examples = [post(length) for length in range(1, 20)]
    exact = list(decode(student, examples, kind=ViewKind.PROMPT))
    rough = list(decode(student, examples, kind=ViewKind.PROMPT, precision="bfloat16"))
    pairs = [
        (a.score, b.score)
        for x, y in zip(exact, rough, strict=True)
        for a, b in zip(x.entities, y.entities, strict=False)
    ]
    assert [a for a, _ in pairs] != [b for _, b in pairs], "the precision has no effect"
    agreeing = sum(x.entities == y.entities for x, y in zip(exact, rough, strict=True))
    assert agreeing >= 16


@pytest.mark.parametrize("has_it", [True, False])
def test_auto_precision_uses_bfloat16_if_the_device_supports_it(
    has_it: bool, student: Student, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "_has_bfloat16", lambda device: has_it)
    precision: decoding.Precision = "bfloat16" if has_it else "float32"
    examples = [post(8)]
    [found] = decode(student, examples, kind=ViewKind.PROMPT, precision="auto")
    [wanted] = decode(student, examples, kind=ViewKind.PROMPT, precision=precision)
    assert [entity.score for entity in found.entities] == [entity.score for entity in wanted.entities] != []


def test_the_more_probable_of_two_overlapping_entities_remains() -> None:
    doubtful, sure = Entity(Span(3, 6), "PER", score=0.4), Entity(Span(5, 7), "LOC", score=0.9)
    assert entity_decoding._without_overlaps([sure, Entity(Span(0, 2), "ORG", score=0.1), doubtful]) == (
        Entity(Span(0, 2), "ORG"),
        sure,
    )


def test_a_stream_is_read_at_most_one_pool_ahead(student: Student) -> None:
    taken = 0

    def endless() -> Iterator[Example]:
        nonlocal taken
        while True:
            taken += 1
            yield post(3, taken)

    found = decode(student, endless(), kind=ViewKind.TEXT, batch_size=2)
    for _ in range(100):
        next(found)
    assert taken <= 100 + 2 * decoding._POOL
    taken = 0
    one_by_one = decode(student, endless(), kind=ViewKind.TEXT, batch_size=1)
    next(one_by_one)
    assert taken == 1


def test_decoding_uses_evaluation_mode_and_restores_the_mode(make_loud_student: Callable[..., Student]) -> None:
    """A dev score in mid-training must neither be noisy with dropout nor switch dropout off for what follows."""
    student = make_loud_student()
    student.train()
    twice = [next(decode(student, [post(20)], kind=ViewKind.PROMPT)).entities for _ in range(2)]
    scores = [[entity.score for entity in entities] for entities in twice]
    assert student.training
    assert scores[0] == scores[1]
    found = decode(student.eval(), [post(2), post(3)], kind=ViewKind.PROMPT, batch_size=1)
    next(found)
    assert not student.training
    assert not torch.is_inference_mode_enabled()


def test_a_view_that_the_student_cannot_read_is_a_usage_error(make_loud_student: Callable[..., Student]) -> None:
    student = make_loud_student(ViewKind.TEXT)
    with pytest.raises(UsageError, match="without prompts"):
        list(decode(student, [post(3)], kind=ViewKind.PROMPT))


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.text(st.characters() | st.sampled_from("\ud83d\udc4d\u200d\xa0"), min_size=1, max_size=4), max_size=8)
)
def test_any_words_are_predicted(student: Student, words: list[str]) -> None:
    """Guards words without pieces, such as U+200D and no-break space, and halves of characters."""
    [prediction] = decode(student, [Example("x", tuple(words))], kind=ViewKind.PROMPT)
    assert all(entity.span.end <= len(words) for entity in prediction.entities)
    assert all(0.0 <= (entity.score or 0.0) <= 1.0 for entity in prediction.entities)
