"""How good answers look without gold: how long, how grounded, how often refused, repeated and alike."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from cotpd.core.overlap import comparable_words
from cotpd.core.records import Grain, Knowledge, Post, Rejection

FUNCTION_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
        a about after again all am an and any are as at be been but by can could did do does for from get got had has
        have he her him his how i if in into is it its just like me more my no not now of off on one or our out over
        rt she so some than that the their them then there these they this to too up us was we were what when where
        who why will with would you your
        """,
    )
)
_BREAK = re.compile(r"[^\w#@'’-]+")
_LINK = re.compile(r"https?://\S+")


@dataclass(frozen=True, slots=True)
class Quality:
    """The figures of one grain; shares are of the answers, and 0 without any.

    ``words``: of an answer, on average. ``grounding``: the share of a post's names and noun chunks that its answer
    speaks of, on average; chunks are the runs of words between function words and punctuation, names the runs of
    capitalised ones, tags and handles. ``refused``: of all answers, also rejected ones. ``duplicates``: answers
    that another one has given before. ``diversity``: different pairs of following words over all such pairs.
    """

    answers: int
    words: float
    grounding: float
    refused: float
    duplicates: float
    diversity: float


def measure(
    knowledge: Sequence[Knowledge], rejections: Sequence[Rejection], posts: Iterable[Post]
) -> dict[Grain, Quality]:
    """The figures of every grain that was asked."""
    texts = {post.id: post.text for post in posts}
    grains = {each.grain for each in knowledge} | {each.grain for each in rejections}
    return {
        grain: _measure(
            [each for each in knowledge if each.grain is grain],
            [each for each in rejections if each.grain is grain],
            texts,
        )
        for grain in Grain
        if grain in grains
    }


def phrases(text: str) -> set[str]:
    """The names and noun chunks of a post, in lower case."""
    return {" ".join(run).casefold() for run in _runs(_LINK.sub(" ", text)) if len(run[0]) > 1}


def spoken_of(text: str, words: Iterable[str]) -> set[str]:
    """The names and noun chunks of a post of which an answer with these comparable words has a word."""
    known = set(words)
    return {phrase for phrase in phrases(text) if not known.isdisjoint(comparable_words(phrase))}


def mean(values: Sequence[float]) -> float:
    """Their mean; 0 without any."""
    return sum(values) / len(values) if values else 0.0


def _runs(text: str) -> Iterator[list[str]]:
    for part in re.split(r"[.,:;!?…()\"“”|]+", text):
        run: list[str] = []
        for word in filter(None, _BREAK.split(part)):
            bare = word.lstrip("#@")
            apart = bool(run) and (word[0] in "#@" or bare[:1].isupper() != run[-1][:1].isupper())
            if run and (apart or word.casefold() in FUNCTION_WORDS):
                yield run
                run = []
            if bare and word.casefold() not in FUNCTION_WORDS:
                run.append(bare)
        if run:
            yield run


def _measure(knowledge: Sequence[Knowledge], rejections: Sequence[Rejection], texts: Mapping[str, str]) -> Quality:
    said = [comparable_words(each.text) for each in knowledge]
    asked = (texts.get(each.example_id or "", "") for each in knowledge)
    grounding = [_grounding(text, words) for text, words in zip(asked, said, strict=True)]
    pairs = [pair for words in said for pair in pairwise(words)]
    num_refused = sum(each.reason == "refusal" for each in rejections)
    return Quality(
        answers=len(said),
        words=mean([len(words) for words in said]),
        grounding=mean([share for share in grounding if share is not None]),
        refused=num_refused / max(1, len(said) + len(rejections)),
        duplicates=1 - len({tuple(words) for words in said}) / len(said) if said else 0.0,
        diversity=len(set(pairs)) / max(1, len(pairs)),
    )


def _grounding(text: str, words: Sequence[str]) -> float | None:
    """The share of a text's phrases that an answer speaks of; None of a text without any."""
    wanted = phrases(text)
    return len(spoken_of(text, words)) / len(wanted) if wanted else None
