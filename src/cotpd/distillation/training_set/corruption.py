"""Damaged knowledge, as a control: a gain that survives it did not come from the knowledge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from cotpd.core.config import TrainingSetConfig
from cotpd.core.records import Example

_Change = Callable[[list[str]], list[str]]


def corrupted(train: Sequence[Example], config: TrainingSetConfig, *, seed: int) -> tuple[Example, ...]:
    """The training posts with captions and knowledge damaged as ``data.corruption`` says; a function of the seed.

    Draw it before a share or a fold is taken, so that a post is damaged in the same way in all of them.
    """
    generator = np.random.default_rng([seed, len(train)])
    share = config.corruption_share
    if config.corruption == "shuffled":
        return _shuffled(train, share, generator)
    if config.corruption == "missing":
        lost = set(_drawn(train, share, generator))
        return tuple(_with(post, None) if number in lost else post for number, post in enumerate(train))
    if config.corruption == "truncated":
        return tuple(_rewritten(post, lambda words: words[: round(len(words) * (1 - share))]) for post in train)
    if config.corruption == "noised":
        return _noised(train, share, generator)
    return tuple(train)


def _drawn(train: Sequence[Example], share: float, generator: np.random.Generator) -> list[int]:
    return [int(number) for number in generator.permutation(len(train))[: round(len(train) * share)]]


def _shuffled(train: Sequence[Example], share: float, generator: np.random.Generator) -> tuple[Example, ...]:
    """Each drawn post gets what is known of the next one drawn with another image.

    Where every post has an image of its own nothing is lost, only misplaced.
    """
    drawn, posts = _drawn(train, share, generator), list(train)
    for place, number in enumerate(drawn):
        others = (train[drawn[(place + step) % len(drawn)]] for step in range(1, len(drawn)))
        posts[number] = _with(train[number], next((o for o in others if _subject(o) != _subject(train[number])), None))
    return tuple(posts)


def _noised(train: Sequence[Example], share: float, generator: np.random.Generator) -> tuple[Example, ...]:
    texts = [text for post in train for text in _texts(post)]
    pool = np.array([word for text in texts for word in text.split()] or [""])

    def noised(words: list[str]) -> list[str]:
        hit, strange = generator.random(len(words)) < share, generator.choice(pool, len(words))
        return [str(other) if is_hit else word for word, is_hit, other in zip(words, hit, strange, strict=True)]

    return tuple(_rewritten(post, noised) for post in train)


def _subject(post: Example) -> str:
    """Posts of one image are told the same things."""
    return post.image_id or post.id


def _texts(post: Example) -> list[str]:
    return [*([post.caption.text] if post.caption else []), *(answer.text for answer in post.knowledge)]


def _with(post: Example, other: Example | None) -> Example:
    return replace(post, caption=other.caption if other else None, knowledge=other.knowledge if other else ())


def _rewritten(post: Example, change: _Change) -> Example:
    caption = replace(post.caption, text=_changed(post.caption.text, change)) if post.caption else None
    knowledge = tuple(replace(answer, text=_changed(answer.text, change)) for answer in post.knowledge)
    return replace(post, caption=caption, knowledge=knowledge)


def _changed(text: str, change: _Change) -> str:
    return " ".join(change(text.split()))
