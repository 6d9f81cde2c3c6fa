"""Normalisation of words and types: spans still cover the same characters."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from cotpd.core.records import Entity, Example, Relation, Span, TargetSentiment
from cotpd.corpus.normalisation import normalise


@st.composite
def posts(draw: st.DrawFn) -> Example:
    words = tuple(draw(st.lists(st.sampled_from(["#", "@", "Ajax", "10", "!", "#a", "é"]), max_size=8)))
    borders = sorted(draw(st.sets(st.integers(0, len(words)))))
    spans = [Span(start, end) for start, end in pairwise(borders)]
    entities = tuple(Entity(span, "PER") for span in spans if draw(st.booleans()))
    return Example("1", words, entities, tuple(Relation(span, spans[0], "r") for span in spans))


@settings(max_examples=50)
@given(posts())
def test_spans_cover_the_same_characters(post: Example) -> None:
    found = normalise(post)
    assert "".join(found.words) == "".join(post.words)
    assert len(found.entities) == len(post.entities)
    for before, after in zip(post.entities, found.entities, strict=True):
        named, wanted = (x.words_of(span).replace(" ", "") for x, span in ((found, after.span), (post, before.span)))
        assert named in (wanted, f"#{wanted}", f"@{wanted}")
    for one, two in pairwise(found.entities):
        assert one.span.end <= two.span.start, "entities that did not overlap must not overlap"
    assert normalise(found) == found


def test_hashtags_and_user_names_become_one_word() -> None:
    for words, expected in (
        ("RT @ bo : # MUFC wins", "RT @bo : #MUFC wins"),
        ("RT @bo : #MUFC wins", "RT @bo : #MUFC wins"),
        ("# ! @ :", "# ! @ :"),
        ("we are # 1", "we are #1"),
        ("the end #", "the end #"),
    ):
        assert normalise(Example("1", tuple(words.split()))).text == expected


def test_both_tokenisations_give_the_same_example() -> None:
    fine = Example("1", ("go", "#", "MUFC", "!"), (Entity(Span(2, 3), "OTHER"),))
    coarse = Example("1", ("go", "#MUFC", "!"), (Entity(Span(1, 2), "MISC"),))
    assert normalise(fine, {"OTHER": "MISC"}) == normalise(coarse) == coarse


def test_two_entities_are_never_joined() -> None:
    post = Example("1", ("#", "Ajax"), (Entity(Span(0, 1), "A"), Entity(Span(1, 2), "B")))
    assert normalise(post) == post


def test_the_arguments_of_a_relation_are_never_joined() -> None:
    post = Example("1", ("#", "Ajax"), relations=(Relation(Span(0, 1), Span(1, 2), "r"),))
    assert normalise(post) == post


def test_targets_of_sentiments_move_with_their_words() -> None:
    post = Example("1", ("#", "go", "@", "ann"), sentiments=(TargetSentiment(Span(3, 4), "positive"),))
    found = normalise(post)
    assert found.words == ("#go", "@ann")
    assert found.sentiments == (TargetSentiment(Span(1, 2), "positive"),)
