"""Corrupted captions and knowledge, as a control: a gain that survives corruption does not come from the knowledge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from cotpd.core.config import TrainingSetConfig
from cotpd.core.records import Example

_Edit = Callable[[list[str]], list[str]]
"""Function of the words of a text."""


def corrupt_knowledge(train: Sequence[Example], config: TrainingSetConfig, *, seed: int) -> tuple[Example, ...]:
    """Corrupt the captions and the knowledge of training examples as configured.

    Corrupt the whole training set before taking a share or holding out a fold, so that an example is corrupted in the
    same way in all of them.

    Args:
        train: All training examples.
        config: Kind and share of the corruption.
        seed: Random seed.
    """
    generator = np.random.default_rng([seed, len(train)])
    share = config.corruption_share
    if config.corruption == "shuffled":
        return _shuffle(train, share, generator)
    if config.corruption == "missing":
        chosen = set(_sample_indices(train, share, generator))
        return tuple(
            _copy_knowledge(None, to=example) if index in chosen else example for index, example in enumerate(train)
        )
    if config.corruption == "truncated":
        return tuple(_edit_texts(example, lambda words: words[: round(len(words) * (1 - share))]) for example in train)
    if config.corruption == "noised":
        return _add_noise(train, share, generator)
    return tuple(train)


def _sample_indices(train: Sequence[Example], share: float, generator: np.random.Generator) -> list[int]:
    return [int(index) for index in generator.permutation(len(train))[: round(len(train) * share)]]


def _shuffle(train: Sequence[Example], share: float, generator: np.random.Generator) -> tuple[Example, ...]:
    """Give each sampled example the knowledge of the next sampled example with another image.

    If every example has an image of its own, this permutes the knowledge and loses none.
    """
    sampled, examples = _sample_indices(train, share, generator), list(train)
    for place, index in enumerate(sampled):
        following = (train[sampled[(place + step) % len(sampled)]] for step in range(1, len(sampled)))
        donor = next((other for other in following if _image_key(other) != _image_key(train[index])), None)
        examples[index] = _copy_knowledge(donor, to=train[index])
    return tuple(examples)


def _add_noise(train: Sequence[Example], share: float, generator: np.random.Generator) -> tuple[Example, ...]:
    """Replace a share of the words of every text with random words from all texts."""
    texts = [text for example in train for text in _texts(example)]
    vocabulary = np.array([word for text in texts for word in text.split()] or [""])

    def add_noise(words: list[str]) -> list[str]:
        is_replaced, replacements = generator.random(len(words)) < share, generator.choice(vocabulary, len(words))
        return [str(new) if is_new else old for old, is_new, new in zip(words, is_replaced, replacements, strict=True)]

    return tuple(_edit_texts(example, add_noise) for example in train)


def _image_key(example: Example) -> str:
    """Return a key shared by the examples of one image, which have the same knowledge."""
    return example.image_id or example.id


def _texts(example: Example) -> list[str]:
    caption = [example.caption.text] if example.caption else []
    return [*caption, *(answer.text for answer in example.knowledge)]


def _copy_knowledge(donor: Example | None, *, to: Example) -> Example:
    """Replace caption and knowledge with those of ``donor``; remove them if there is no donor."""
    return replace(to, caption=donor.caption if donor else None, knowledge=donor.knowledge if donor else ())


def _edit_texts(example: Example, edit: _Edit) -> Example:
    caption = replace(example.caption, text=_edit_text(example.caption.text, edit)) if example.caption else None
    knowledge = tuple(replace(answer, text=_edit_text(answer.text, edit)) for answer in example.knowledge)
    return replace(example, caption=caption, knowledge=knowledge)


def _edit_text(text: str, edit: _Edit) -> str:
    return " ".join(edit(text.split()))
