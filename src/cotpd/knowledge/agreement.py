"""Agreement between the answers of two language models about the same posts, without gold labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cotpd.core.overlap import comparable_words
from cotpd.core.records import Grain, Knowledge, Post
from cotpd.knowledge.quality import FUNCTION_WORDS, mean, mentioned_phrases


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement at one grain: means over the posts that both models answered, 0 without any.

    Attributes:
        posts: The number of these posts.
        names: Jaccard index of the post's names and noun chunks that the answers mention.
        words: Jaccard index of the content words that the answers add to the post.
        by_chance: Like ``words``, but between answers about different posts.
    """

    posts: int
    names: float
    words: float
    by_chance: float


def agreement(first: Sequence[Knowledge], second: Sequence[Knowledge], posts: Iterable[Post]) -> dict[Grain, Agreement]:
    """Return the agreement at every grain at which both models answered; ``example_id`` joins answers and posts."""
    ours, theirs = _by_question(first), _by_question(second)
    texts = {post.id: post.text for post in posts}
    pairs: dict[Grain, list[_AnswerPair]] = {grain: [] for grain in Grain}
    for (post, grain), words in ours.items():
        if post in texts and (other := theirs.get((post, grain))) is not None:
            pairs[grain].append(_AnswerPair(texts[post], (words, other)))
    return {grain: _measure(pairs_of_grain) for grain, pairs_of_grain in pairs.items() if pairs_of_grain}


@dataclass(frozen=True, slots=True)
class _AnswerPair:
    """The text of a post and the comparable words of both answers."""

    text: str
    answers: tuple[list[str], list[str]]


def _by_question(answers: Iterable[Knowledge]) -> dict[tuple[str | None, Grain], list[str]]:
    return {(each.example_id, each.grain): comparable_words(each.text) for each in answers}


def _measure(pairs: Sequence[_AnswerPair]) -> Agreement:
    names = [_jaccard(*(mentioned_phrases(pair.text, words) for words in pair.answers)) for pair in pairs]
    added = [_added(pair) for pair in pairs]
    shift = len(pairs) // 2
    unrelated = [(one, other) for (one, _), (_, other) in zip(added, added[shift:] + added[:shift], strict=True)]
    return Agreement(
        posts=len(pairs),
        names=mean([share for share in names if share is not None]),
        words=mean([_jaccard(*both) or 0.0 for both in added]),
        by_chance=mean([_jaccard(*both) or 0.0 for both in unrelated]) if shift else 0.0,
    )


def _added(pair: _AnswerPair) -> tuple[set[str], set[str]]:
    """Return the content words of both answers that the post does not have."""
    known = {*comparable_words(pair.text)} | FUNCTION_WORDS
    first, second = ({*words} - known for words in pair.answers)
    return first, second


def _jaccard(one: set[str], other: set[str]) -> float | None:
    return len(one & other) / len(one | other) if one or other else None
