"""Quality of answers without gold labels: length, grounding, refusals, duplicates and diversity."""

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
    """Quality of the answers at one grain; 0 without answers.

    Attributes:
        answers: The number of usable answers.
        words: Mean number of words per answer.
        grounding: Mean share of a post's names and noun chunks that its answer mentions. Noun chunks are runs of words
            between function words and punctuation; names are runs of capitalised words, hashtags and handles.
        refused: Share of refusals in all answers, including rejected ones.
        duplicates: Share of answers that repeat an earlier answer.
        diversity: Distinct word bigrams divided by all bigrams.
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
    """Return the quality at every grain with an answer."""
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
    """Return the names and noun chunks of a post, case-folded."""
    return {" ".join(run).casefold() for run in _runs(_LINK.sub(" ", text)) if len(run[0]) > 1}


def mentioned_phrases(text: str, words: Iterable[str]) -> set[str]:
    """Return the names and noun chunks of a post that share a word with an answer, given by its comparable words."""
    known = set(words)
    return {phrase for phrase in phrases(text) if not known.isdisjoint(comparable_words(phrase))}


def mean(values: Sequence[float]) -> float:
    """Return the mean; 0 for no values."""
    return sum(values) / len(values) if values else 0.0


def _runs(text: str) -> Iterator[list[str]]:
    for part in re.split(r"[.,:;!?…()\"“”|]+", text):
        run: list[str] = []
        for word in filter(None, _BREAK.split(part)):
            stem = word.lstrip("#@")
            ends_run = bool(run) and (word[0] in "#@" or stem[:1].isupper() != run[-1][:1].isupper())
            if run and (ends_run or word.casefold() in FUNCTION_WORDS):
                yield run
                run = []
            if stem and word.casefold() not in FUNCTION_WORDS:
                run.append(stem)
        if run:
            yield run


def _measure(knowledge: Sequence[Knowledge], rejections: Sequence[Rejection], texts: Mapping[str, str]) -> Quality:
    answers = [comparable_words(each.text) for each in knowledge]
    posts = (texts.get(each.example_id or "", "") for each in knowledge)
    grounding = [_grounding(text, words) for text, words in zip(posts, answers, strict=True)]
    pairs = [pair for words in answers for pair in pairwise(words)]
    num_refused = sum(each.reason == "refusal" for each in rejections)
    return Quality(
        answers=len(answers),
        words=mean([len(words) for words in answers]),
        grounding=mean([share for share in grounding if share is not None]),
        refused=num_refused / max(1, len(answers) + len(rejections)),
        duplicates=1 - len({tuple(words) for words in answers}) / len(answers) if answers else 0.0,
        diversity=len(set(pairs)) / max(1, len(pairs)),
    )


def _grounding(text: str, words: Sequence[str]) -> float | None:
    """Return the share of a text's phrases that an answer mentions; None if the text has no phrases."""
    all_phrases = phrases(text)
    return len(mentioned_phrases(text, words)) / len(all_phrases) if all_phrases else None
