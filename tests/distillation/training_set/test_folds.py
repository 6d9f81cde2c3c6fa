"""Folds divide a corpus, and posts of one image stay together."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from cotpd.core.config import AugmentationConfig
from cotpd.core.pairs import one_pair_each
from cotpd.core.records import Entity, Example, Origin, Span, VariantKind
from cotpd.corpus.corpus import Corpus
from cotpd.corpus.formats.parsing.reading import Reading, Row, distinct_ids
from cotpd.distillation.training_set.folds import in_fold, without_fold
from cotpd.distillation.training_set.variants import variants_for
from cotpd.views.excerpts import excerpt

POSTS = tuple(Example(f"{number}", ("a",), image_id=f"image {number // 2}") for number in range(60))


@pytest.mark.parametrize("num_folds", [2, 3, 5])
def test_each_post_lies_in_one_fold_with_those_of_its_image(num_folds: int) -> None:
    folds = [
        {post.id for post in POSTS if in_fold(post, f"{number}/{num_folds}")} for number in range(1, num_folds + 1)
    ]
    assert sum(map(len, folds)) == len(set().union(*folds)) == len(POSTS)
    assert all(folds)
    for fold in folds:
        assert fold == {f"{int(post) // 2 * 2 + half}" for post in fold for half in (0, 1)}


def test_what_is_left_out_and_what_is_kept_make_the_whole() -> None:
    kept = without_fold(POSTS, "1/3")
    assert {post.id for post in POSTS if in_fold(post, "1/3")} == {post.id for post in POSTS} - {
        post.id for post in kept
    }
    assert without_fold(POSTS, None) == POSTS


def test_a_post_without_an_image_is_drawn_by_its_id() -> None:
    posts = [Example(f"{number}", ("a",)) for number in range(40)]
    assert 5 < sum(in_fold(post, "1/2") for post in posts) < 35


def window(post: Example) -> Example:
    return excerpt(post, Span(0, 3))


def second_pair(post: Example) -> Example:
    return list(one_pair_each([post]))[1]


def repetition(post: Example) -> Example:
    first, second = distinct_ids([Row(post, "file:1"), Row(post, "file:2")], Reading(lambda defect: None))
    assert second.example.id != first.example.id
    return second.example


@pytest.mark.parametrize(
    "part", [window, second_pair, repetition, lambda post: second_pair(window(window(repetition(post))))]
)
@pytest.mark.parametrize("fold", ["1/3", "2/3", "3/3"])
def test_what_is_made_of_a_post_lies_in_its_fold(part: Callable[[Example], Example], fold: str) -> None:
    """Without an image the id alone tells: hashed whole, each pair would be drawn anew, and its post's gold leak."""
    entities = (Entity(Span(0, 1), "PER"), Entity(Span(2, 3), "LOC"))
    posts = [Example(f"post-{number}", ("a", "b", "c", "d"), entities) for number in range(100)]
    assert [in_fold(post, fold) for post in posts] == [in_fold(part(post), fold) for post in posts]


@pytest.mark.parametrize("name", ["doc#{0}", "doc[0:{0}]"])
def test_posts_whose_own_ids_look_like_parts_are_drawn_apart(name: str) -> None:
    posts = [Example(name.format(number), ("a",)) for number in range(1, 101)]
    assert all(10 < sum(in_fold(post, f"{number}/3") for post in posts) < 60 for number in (1, 2, 3))


def test_repetitions_that_were_written_to_a_file_are_known_again() -> None:
    rows = [Row(Example(name, ("a",)), name) for name in ("x", "x#2", "x", "x#2", "y#2", "y#3")]
    read = [row.example for row in distinct_ids(rows, Reading(lambda defect: None))]
    assert [post.id for post in read] == ["x", "x#2", "x#3", "x#2#2", "y#2", "y#3"]
    assert [post.post_id for post in read] == ["x", "x", "x", "x", "y#2", "y#3"]


@pytest.mark.parametrize("kind", VariantKind)
def test_variants_lie_in_the_fold_of_their_parent(kind: VariantKind) -> None:
    bare = [Example(f"post-{number}", ("a",)) for number in range(20)]
    variants = [
        replace(post, id=f"{post.id}+{kind}1", image_id=None, origin=Origin(post.id, kind, "v1", "small"))
        for post in (*POSTS, *bare)
    ]
    corpus, settings = Corpus((*POSTS, *bare), augmented=tuple(variants)), AugmentationConfig(kinds=(kind,), share=2)
    drawn = {post.origin.parent: post for post in variants_for(corpus.train, corpus, settings, seed=1) if post.origin}
    assert len(drawn) == len(corpus.train)
    assert all(in_fold(drawn[post.id], "1/2") == in_fold(post, "1/2") for post in corpus.train)
