"""Folds divide a corpus, and posts of one image stay together."""

from dataclasses import replace

import pytest

from cotpd.core.config import AugmentationConfig
from cotpd.core.folds import in_fold, without_fold
from cotpd.core.records import Example, Origin, VariantKind
from cotpd.corpus.augmented import variants_for
from cotpd.corpus.corpus import Corpus

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


@pytest.mark.parametrize("part", ["{0}#1", "{0}[0:50]", "{0}[0:50]#2"])
@pytest.mark.parametrize("fold", ["1/3", "2/3", "3/3"])
def test_pairs_and_windows_lie_in_the_fold_of_their_post(part: str, fold: str) -> None:
    """Without an image the id alone tells: hashed whole, each pair would be drawn anew, and its post's gold leak."""
    posts = [Example(f"post-{number}", ("a",)) for number in range(100)]
    parts = [Example(part.format(post.id), ("a",)) for post in posts]
    assert [in_fold(post, fold) for post in posts] == [in_fold(piece, fold) for piece in parts]


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
