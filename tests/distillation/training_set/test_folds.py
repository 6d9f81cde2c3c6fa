"""Folds partition a training set and keep the examples of an image together."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from cotpd.core.config import AugmentationConfig
from cotpd.core.pairs import expand_pairs
from cotpd.core.records import Entity, Example, Origin, Span, VariantKind
from cotpd.corpus.corpus import Corpus
from cotpd.corpus.formats.parsing.reading import ParsedExample, Reading, make_ids_unique
from cotpd.distillation.training_set.folds import in_fold, without_fold
from cotpd.distillation.training_set.variants import select_variants
from cotpd.views.excerpts import excerpt

POSTS = tuple(Example(f"{number}", ("a",), image_id=f"image {number // 2}") for number in range(60))


def test_folds_partition_the_posts_by_image() -> None:
    for num_folds in (2, 3, 5):
        folds = [{post.id for post in POSTS if in_fold(post, f"{n}/{num_folds}")} for n in range(1, num_folds + 1)]
        assert sum(map(len, folds)) == len(set().union(*folds)) == len(POSTS)
        assert all(folds)
        for fold in folds:
            assert fold == {f"{int(post) // 2 * 2 + number}" for post in fold for number in (0, 1)}


def test_fold_and_its_complement_are_the_whole_set() -> None:
    kept = without_fold(POSTS, "1/3")
    assert {post.id for post in POSTS if in_fold(post, "1/3")} == {post.id for post in POSTS} - {
        post.id for post in kept
    }
    assert without_fold(POSTS, None) == POSTS


def test_post_without_an_image_is_assigned_by_its_id() -> None:
    posts = [Example(f"{number}", ("a",)) for number in range(40)]
    assert 5 < sum(in_fold(post, "1/2") for post in posts) < 35


def window(post: Example) -> Example:
    return excerpt(post, Span(0, 3))


def second_pair(post: Example) -> Example:
    return list(expand_pairs([post]))[1]


def repetition(post: Example) -> Example:
    first, second = make_ids_unique(
        [ParsedExample(post, "file:1"), ParsedExample(post, "file:2")], Reading(lambda defect: None)
    )
    assert second.example.id != first.example.id
    return second.example


@pytest.mark.parametrize(
    "part", [window, second_pair, repetition, lambda post: second_pair(window(window(repetition(post))))]
)
@pytest.mark.parametrize("fold", ["1/3", "2/3", "3/3"])
def test_parts_and_copies_of_a_post_belong_to_its_fold(part: Callable[[Example], Example], fold: str) -> None:
    """Without an image the id decides. If the ids of pairs were hashed, the gold labels of their post would leak."""
    entities = (Entity(Span(0, 1), "PER"), Entity(Span(2, 3), "LOC"))
    posts = [Example(f"post-{number}", ("a", "b", "c", "d"), entities) for number in range(100)]
    assert [in_fold(post, fold) for post in posts] == [in_fold(part(post), fold) for post in posts]


@pytest.mark.parametrize("name", ["doc#{0}", "doc[0:{0}]"])
def test_posts_with_ids_that_look_like_parts_are_assigned_independently(name: str) -> None:
    posts = [Example(name.format(number), ("a",)) for number in range(1, 101)]
    assert all(10 < sum(in_fold(post, f"{number}/3") for post in posts) < 60 for number in (1, 2, 3))


def test_copies_are_recognised_after_writing_and_reading() -> None:
    rows = [ParsedExample(Example(name, ("a",)), name) for name in ("x", "x#2", "x", "x#2", "y#2", "y#3")]
    read = [row.example for row in make_ids_unique(rows, Reading(lambda defect: None))]
    assert [post.id for post in read] == ["x", "x#2", "x#3", "x#2#2", "y#2", "y#3"]
    assert [post.post_id for post in read] == ["x", "x", "x", "x", "y#2", "y#3"]


@pytest.mark.parametrize("kind", VariantKind)
def test_variants_belong_to_the_fold_of_their_parent(kind: VariantKind) -> None:
    without_image = [Example(f"post-{number}", ("a",)) for number in range(20)]
    variants = [
        replace(post, id=f"{post.id}+{kind}1", image_id=None, origin=Origin(post.id, kind, "v1", "small"))
        for post in (*POSTS, *without_image)
    ]
    corpus, settings = (
        Corpus((*POSTS, *without_image), augmented=tuple(variants)),
        AugmentationConfig(kinds=(kind,), share=2),
    )
    selected = select_variants(corpus.train, corpus, settings, seed=1)
    by_parent = {post.origin.parent: post for post in selected if post.origin}
    assert len(by_parent) == len(corpus.train)
    assert all(in_fold(by_parent[post.id], "1/2") == in_fold(post, "1/2") for post in corpus.train)
