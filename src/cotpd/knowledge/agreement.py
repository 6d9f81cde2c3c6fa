"""How far the answers of two language models to the same posts agree, without gold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cotpd.core.overlap import comparable_words
from cotpd.core.records import Grain, Knowledge, Post
from cotpd.knowledge.quality import FUNCTION_WORDS, mean, spoken_of


@dataclass(frozen=True, slots=True)
class Agreement:
    """The figures of one grain, each the mean over the posts that both models answered; 0 without any.

    ``names``: of a post's names and noun chunks (as for grounding) that either answer speaks of, the share that both
    do. ``words``: of the words that either answer adds to its post, the share that both add (Jaccard index; function
    words left out). ``by_chance``: the same of one's answer to a post and the other's to another post.
    """

    posts: int
    names: float
    words: float
    by_chance: float


def agreement(first: Sequence[Knowledge], second: Sequence[Knowledge], posts: Iterable[Post]) -> dict[Grain, Agreement]:
    """The figures of every grain at which both models answered; answers belong to posts by ``example_id``."""
    ours, theirs = _by_question(first), _by_question(second)
    texts = {post.id: post.text for post in posts}
    pairs: dict[Grain, list[_Pair]] = {grain: [] for grain in Grain}
    for (post, grain), said in ours.items():
        if post in texts and (other := theirs.get((post, grain))) is not None:
            pairs[grain].append(_Pair(texts[post], (said, other)))
    return {grain: _measure(found) for grain, found in pairs.items() if found}


@dataclass(frozen=True, slots=True)
class _Pair:
    """A post's text, and the comparable words of both answers."""

    text: str
    said: tuple[list[str], list[str]]


def _by_question(answers: Iterable[Knowledge]) -> dict[tuple[str | None, Grain], list[str]]:
    return {(each.example_id, each.grain): comparable_words(each.text) for each in answers}


def _measure(pairs: Sequence[_Pair]) -> Agreement:
    named = [_in_common(*(spoken_of(pair.text, words) for words in pair.said)) for pair in pairs]
    added = [_added(pair) for pair in pairs]
    apart = len(pairs) // 2
    strangers = [(one, other) for (one, _), (_, other) in zip(added, added[apart:] + added[:apart], strict=True)]
    return Agreement(
        posts=len(pairs),
        names=mean([share for share in named if share is not None]),
        words=mean([_in_common(*both) or 0.0 for both in added]),
        by_chance=mean([_in_common(*both) or 0.0 for both in strangers]) if apart else 0.0,
    )


def _added(pair: _Pair) -> tuple[set[str], set[str]]:
    """The words of both answers that their post does not have."""
    known = {*comparable_words(pair.text)} | FUNCTION_WORDS
    first, second = ({*words} - known for words in pair.said)
    return first, second


def _in_common(one: set[str], other: set[str]) -> float | None:
    return len(one & other) / len(one | other) if one or other else None
