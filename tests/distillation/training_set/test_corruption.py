"""Damaged knowledge is damaged as it says, for training posts alone, and in the same way each time."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from cotpd.core.config import ExperimentConfig
from cotpd.core.records import Example
from cotpd.corpus.corpus import Corpus
from cotpd.distillation.training_set.corruption import corrupt_knowledge
from cotpd.distillation.training_set.selection import Material, training_posts

Configure = Callable[..., ExperimentConfig]


def damaged(corpus: Corpus, configure: Configure, kind: str, share: float = 1.0, seed: int = 1) -> list[Example]:
    config = configure(data={"corruption": kind, "corruption_share": share})
    return list(corrupt_knowledge(corpus.train, config.data, seed=seed))


def known(post: Example) -> tuple[str, ...]:
    return (post.caption.text if post.caption else "", *(answer.text for answer in post.knowledge))


def test_shuffled_knowledge_is_all_there_and_nobodys_own(corpus: Corpus, configure: Configure) -> None:
    posts = damaged(corpus, configure, "shuffled")
    assert Counter(map(known, posts)) == Counter(map(known, corpus.train))
    assert all(known(after) != known(before) for after, before in zip(posts, corpus.train, strict=True))
    some = damaged(corpus, configure, "shuffled", 0.5)
    assert sum(known(after) != known(before) for after, before in zip(some, corpus.train, strict=True)) == 12


def test_missing_knowledge_is_missing_in_its_share(corpus: Corpus, configure: Configure) -> None:
    posts = damaged(corpus, configure, "missing", 0.25)
    assert sum(known(post) == ("",) for post in posts) == 6


def test_truncated_knowledge_keeps_its_beginning(corpus: Corpus, configure: Configure) -> None:
    for after, before in zip(damaged(corpus, configure, "truncated", 0.5), corpus.train, strict=True):
        for text, whole in zip(known(after), known(before), strict=True):
            assert whole.split()[: len(text.split())] == text.split()
            assert len(text.split()) == round(len(whole.split()) / 2)


def test_noised_knowledge_has_strange_words_in_its_share(corpus: Corpus, configure: Configure) -> None:
    posts = damaged(corpus, configure, "noised", 0.3)
    pairs = [
        (one, other)
        for after, before in zip(posts, corpus.train, strict=True)
        for text, whole in zip(known(after), known(before), strict=True)
        for one, other in zip(text.split(), whole.split(), strict=True)
    ]
    assert 0.2 < sum(one != other for one, other in pairs) / len(pairs) < 0.31
    assert {one for one, _ in pairs} <= {other for _, other in pairs}


@pytest.mark.parametrize("kind", ["shuffled", "missing", "noised"])
def test_the_seed_alone_decides(kind: str, corpus: Corpus, configure: Configure) -> None:
    assert damaged(corpus, configure, kind, 0.5) == damaged(corpus, configure, kind, 0.5)
    assert damaged(corpus, configure, kind, 0.5) != damaged(corpus, configure, kind, 0.5, seed=2)


@pytest.mark.parametrize("kind", ["shuffled", "missing", "truncated", "noised"])
def test_words_and_labels_stay_and_a_share_or_fold_changes_nothing(
    kind: str, corpus: Corpus, configure: Configure
) -> None:
    data: dict[str, Any] = {"corruption": kind, "corruption_share": 0.5}
    whole = {post.id: post for post in training_posts(corpus, configure(data=data))}
    assert [(post.id, post.words, post.entities) for post in whole.values()] == [
        (post.id, post.words, post.entities) for post in corpus.train
    ]
    for part in ({"train_share": 0.5}, {"left_out": "1/2"}):
        posts = training_posts(corpus, configure(data={**data, **part}))
        assert 0 < len(posts) < len(whole)
        assert all(post == whole[post.id] for post in posts)
    damaged_config, config = configure(data=data), configure()
    assert Material.of(corpus, damaged_config).fingerprint(config) != Material.of(corpus, config).fingerprint(config)
