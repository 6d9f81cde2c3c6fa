"""Knowledge is corrupted as configured, reproducibly, and without changes to words and labels."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from cotpd.core.config import ExperimentConfig
from cotpd.core.records import Example
from cotpd.corpus.corpus import Corpus
from cotpd.distillation.training_set.corruption import corrupt_knowledge
from cotpd.distillation.training_set.selection import TrainingSet, labelled_examples

Configure = Callable[..., ExperimentConfig]


def corrupt(corpus: Corpus, configure: Configure, kind: str, share: float = 1.0, seed: int = 1) -> list[Example]:
    config = configure(training_set={"corruption": kind, "corruption_share": share})
    return list(corrupt_knowledge(corpus.train, config.training_set, seed=seed))


def texts_of(post: Example) -> tuple[str, ...]:
    return (post.caption.text if post.caption else "", *(answer.text for answer in post.knowledge))


def test_shuffling_permutes_knowledge_between_examples_of_different_images(
    corpus: Corpus, configure: Configure
) -> None:
    posts = corrupt(corpus, configure, "shuffled")
    assert Counter(map(texts_of, posts)) == Counter(map(texts_of, corpus.train))
    assert all(texts_of(after) != texts_of(before) for after, before in zip(posts, corpus.train, strict=True))
    some = corrupt(corpus, configure, "shuffled", 0.5)
    assert sum(texts_of(after) != texts_of(before) for after, before in zip(some, corpus.train, strict=True)) == 12


def test_missing_removes_the_knowledge_of_the_configured_share(corpus: Corpus, configure: Configure) -> None:
    posts = corrupt(corpus, configure, "missing", 0.25)
    assert sum(texts_of(post) == ("",) for post in posts) == 6


def test_truncation_keeps_the_beginning_of_each_text(corpus: Corpus, configure: Configure) -> None:
    for after, before in zip(corrupt(corpus, configure, "truncated", 0.5), corpus.train, strict=True):
        for text, whole in zip(texts_of(after), texts_of(before), strict=True):
            assert whole.split()[: len(text.split())] == text.split()
            assert len(text.split()) == round(len(whole.split()) / 2)


def test_noise_replaces_the_configured_share_of_words(corpus: Corpus, configure: Configure) -> None:
    posts = corrupt(corpus, configure, "noised", 0.3)
    pairs = [
        (one, other)
        for after, before in zip(posts, corpus.train, strict=True)
        for text, whole in zip(texts_of(after), texts_of(before), strict=True)
        for one, other in zip(text.split(), whole.split(), strict=True)
    ]
    assert 0.2 < sum(one != other for one, other in pairs) / len(pairs) < 0.31
    assert {one for one, _ in pairs} <= {other for _, other in pairs}


@pytest.mark.parametrize("kind", ["shuffled", "missing", "noised"])
def test_corruption_is_determined_by_the_seed(kind: str, corpus: Corpus, configure: Configure) -> None:
    assert corrupt(corpus, configure, kind, 0.5) == corrupt(corpus, configure, kind, 0.5)
    assert corrupt(corpus, configure, kind, 0.5) != corrupt(corpus, configure, kind, 0.5, seed=2)


@pytest.mark.parametrize("kind", ["shuffled", "missing", "truncated", "noised"])
def test_words_and_labels_are_unchanged_and_corruption_does_not_depend_on_share_or_fold(
    kind: str, corpus: Corpus, configure: Configure
) -> None:
    settings: dict[str, Any] = {"corruption": kind, "corruption_share": 0.5}
    whole = {post.id: post for post in labelled_examples(corpus, configure(training_set=settings))}
    assert [(post.id, post.words, post.entities) for post in whole.values()] == [
        (post.id, post.words, post.entities) for post in corpus.train
    ]
    for part in ({"share": 0.5}, {"fold": "1/2"}):
        posts = labelled_examples(corpus, configure(training_set={**settings, **part}))
        assert 0 < len(posts) < len(whole)
        assert all(post == whole[post.id] for post in posts)
    corrupted_config, config = configure(training_set=settings), configure()
    assert TrainingSet.of(corpus, corrupted_config).fingerprint(config) != TrainingSet.of(corpus, config).fingerprint(
        config
    )
