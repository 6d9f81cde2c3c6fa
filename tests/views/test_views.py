"""Views: the text comes first and is complete, every word has a piece, and only knowledge is truncated."""

import string
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from cotpd.core.config import ViewConfig
from cotpd.core.errors import DataError
from cotpd.core.records import Caption, Entity, Example, Grain, Knowledge, Relation, Span, TargetSentiment
from cotpd.views.batch import Batch, shuffled_batches
from cotpd.views.excerpts import excerpt
from cotpd.views.pieces import Pieces
from cotpd.views.view import ViewKind, ViewReader

INVISIBLE = ["\xa0", "\u200d", "\ufe0f", "\ufffd", "\u200b", ""]


@pytest.fixture(scope="module")
def pieces(tiny_encoder: Path) -> Pieces:
    return Pieces(Tokenizer.from_file(str(tiny_encoder / "tokenizer.json")))


def example(*words: str) -> Example:
    return Example(
        id="1",
        words=words,
        image_id="i",
        caption=Caption("i", "a cup"),
        knowledge=(Knowledge(Grain.SENTENCE, "late", example_id="1"), Knowledge(Grain.NOUN, "who", example_id="1")),
    )


def text_of(pieces: Pieces, ids: object) -> str:
    return str(pieces.tokenizer.decode(list(ids), skip_special_tokens=False)).replace(" ##", "")  # type: ignore[call-overload]


def test_the_knowledge_enhanced_view_has_the_published_order(pieces: Pieces) -> None:
    view = ViewReader(pieces, ViewConfig(), 512).read(example("hi", "you"), ViewKind.KNOWLEDGE)
    assert text_of(pieces, view.ids) == "[CLS] hi you [SEP] a cup [SEP] who [SEP] late [SEP]"


def test_parts_and_their_order_follow_the_settings(pieces: Pieces) -> None:
    reader = ViewReader(pieces, ViewConfig(parts=("sentence", "caption")), 512)
    assert (
        text_of(pieces, reader.read(example("hi"), ViewKind.KNOWLEDGE).ids) == "[CLS] hi [SEP] late [SEP] a cup [SEP]"
    )
    without = reader.read(example("hi"), ViewKind.KNOWLEDGE, without={"sentence"})
    assert text_of(pieces, without.ids) == "[CLS] hi [SEP] a cup [SEP]"


def test_knowledge_view_without_knowledge_equals_the_text_view(pieces: Pieces) -> None:
    reader = ViewReader(pieces, ViewConfig(), 512)
    bare = Example(id="1", words=("hi",))
    assert reader.read(bare, ViewKind.KNOWLEDGE).ids == reader.read(bare, ViewKind.TEXT).ids


@given(st.lists(st.text(string.ascii_lowercase, min_size=1, max_size=6), min_size=1, max_size=12), st.integers(0, 30))
def test_only_knowledge_is_truncated_and_the_cut_pieces_are_counted(
    pieces: Pieces, words: list[str], limit: int
) -> None:
    reader = ViewReader(pieces, ViewConfig(knowledge_pieces=limit), 90)
    whole = ViewReader(pieces, ViewConfig(knowledge_pieces=10_000), 10_000)
    post = example(*words)
    text, view = reader.read(post, ViewKind.TEXT), reader.read(post, ViewKind.KNOWLEDGE)
    complete = whole.read(post, ViewKind.KNOWLEDGE)
    assert list(view.ids[: len(text.ids) - 1]) == list(text.ids[:-1]), "the post was cut"
    assert view.first_pieces == text.first_pieces
    assert len(view.ids) <= 90
    assert view.num_cut == len(complete.ids) - len(view.ids)


def test_words_without_pieces_become_the_unknown_piece(pieces: Pieces) -> None:
    """WordPiece has no piece for U+200D. If the reader skipped it, its tag would go to the next word."""
    words = [*INVISIBLE, "ab"]
    found = pieces.of(words)
    assert all(found)
    view = ViewReader(pieces, ViewConfig(), 512).read(Example("1", tuple(words)), ViewKind.TEXT)
    assert len(view.first_pieces) == len(words)
    assert view.ids[view.first_pieces[-1]] == pieces.tokenizer.token_to_id("a")


@given(st.lists(st.text(max_size=5), max_size=8))
@settings(max_examples=200)
def test_every_word_of_any_text_keeps_its_first_piece(pieces: Pieces, words: list[str]) -> None:
    view = ViewReader(pieces, ViewConfig(), 10_000).read(Example("1", tuple(words)), ViewKind.TEXT)
    assert [view.ids[place] for place in view.first_pieces] == [word[0] for word in pieces.of(words)]


def test_a_text_longer_than_the_encoder_is_a_data_error(pieces: Pieces) -> None:
    reader = ViewReader(pieces, ViewConfig(), 10)
    with pytest.raises(DataError, match="12 pieces, but the encoder accepts at most 8"):
        reader.read(example("abcdefghijkl"), ViewKind.TEXT)


@given(st.lists(st.text(string.ascii_lowercase, min_size=1, max_size=8), max_size=40), st.integers(0, 3))
def test_windows_cover_every_word_and_fit(pieces: Pieces, words: list[str], overlap: int) -> None:
    reader = ViewReader(pieces, ViewConfig(), 14)
    windows = list(reader.windows(words, overlap=overlap))
    assert {word for span in windows for word in range(span.start, span.end)} == set(range(len(words)))
    for span in windows:
        reader.read(Example("1", tuple(words[span.start : span.end])), ViewKind.TEXT)


@given(st.lists(st.text(string.ascii_lowercase, min_size=1, max_size=3), min_size=1, max_size=40), st.data())
def test_no_window_splits_an_entity(pieces: Pieces, words: list[str], data: st.DataObject) -> None:
    edges = sorted(data.draw(st.sets(st.integers(0, len(words)), max_size=9)))
    entities = [Span(start, end) for start, end in zip(edges[::2], edges[1::2], strict=False) if end - start <= 3]
    windows = list(ViewReader(pieces, ViewConfig(), 14).windows(words, whole=entities))
    assert [word for span in windows for word in range(span.start, span.end)] == list(range(len(words)))
    assert not any(span.start < window.end < span.end for span in entities for window in windows)


def test_an_excerpt_has_the_annotations_inside_with_moved_offsets() -> None:
    entities = (Entity(Span(1, 2), "PER"), Entity(Span(2, 4), "LOC"))
    relations = (Relation(Span(1, 2), Span(2, 3), "peer"), Relation(Span(0, 1), Span(1, 2), "peer"))
    post = Example("1", ("a", "b", "c", "d"), entities, relations, sentiments=(TargetSentiment(Span(2, 3), "neutral"),))
    part = excerpt(post, Span(1, 3))
    assert part.words == ("b", "c")
    assert part.entities == (Entity(Span(0, 1), "PER"),)
    assert part.relations == (Relation(Span(0, 1), Span(1, 2), "peer"),)
    assert part.sentiments == (TargetSentiment(Span(1, 2), "neutral"),)
    assert part.id != post.id


def test_batches_pad_on_the_right(pieces: Pieces) -> None:
    reader = ViewReader(pieces, ViewConfig(), 512)
    views = [reader.read(Example("1", words), ViewKind.TEXT) for words in (("a",), ("a", "bc"))]
    batch = Batch.of(views, pad=7, gold=[np.array([1]), np.array([2, 3])])
    assert batch.ids[0].tolist()[-2:] == [7, 7]
    assert batch.mask.sum(1).tolist() == [3, 5]
    assert batch.word_mask.tolist() == [[True, False], [True, True]]
    assert batch.gold is not None
    assert batch.gold.tolist() == [[1, 0], [2, 3]]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=300), st.integers(1, 16), st.integers(0, 5))
def test_an_epoch_is_a_deterministic_permutation(lengths: list[int], size: int, epoch: int) -> None:
    batches = list(shuffled_batches(lengths, size, seed=1, epoch=epoch))
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert batches == list(shuffled_batches(lengths, size, seed=1, epoch=epoch))
    assert len(batches) == len(list(shuffled_batches(lengths, size, seed=2, epoch=epoch + 1)))


def test_batches_hold_similar_lengths() -> None:
    lengths = list(np.random.default_rng(1).integers(5, 60, size=2000))
    padded = sum(
        max(lengths[i] for i in batch) * len(batch) for batch in shuffled_batches(lengths, 16, seed=1, epoch=0)
    )
    assert padded < 1.08 * sum(lengths), "padding grew: batches are not bucketed by length"
