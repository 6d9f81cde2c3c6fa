"""Agreement between two models without gold labels."""

from __future__ import annotations

import pytest

from cotpd.core.records import Grain, Knowledge, Post
from cotpd.knowledge.agreement import Agreement, agreement

POSTS = [Post("a", "Jordan beat Oman"), Post("b", "rain in Amman")]


def answer(post: str, text: str, grain: Grain = Grain.NOUN) -> Knowledge:
    return Knowledge(grain, text, example_id=post)


def test_agreement_at_one_grain() -> None:
    first = [answer("a", "Jordan: a team of footballers"), answer("b", "Amman: the capital of Jordan")]
    second = [answer("a", "Jordan and Oman: a country"), answer("b", "Amman: a capital")]
    # Names: {jordan} of {jordan, oman}, {amman} of {amman}. Words: none of {team, footballers, country}, {capital} of
    # {capital, jordan}. By chance: {team, footballers} and {capital}, {capital, jordan} and {country}.
    assert agreement(first, second, POSTS) == {Grain.NOUN: Agreement(2, names=0.75, words=0.25, by_chance=0.0)}


def test_agreement_by_chance_compares_answers_to_different_posts() -> None:
    both = [answer("a", "a team"), answer("b", "a team")]
    figures = agreement(both, both, POSTS)[Grain.NOUN]
    assert (figures.words, figures.by_chance) == (1.0, 1.0)


def test_a_model_agrees_with_itself() -> None:
    answers = [answer("a", "Jordan: a team"), answer("b", "it pours", Grain.SENTENCE)]
    figures = agreement(answers, answers, POSTS)
    assert figures[Grain.NOUN] == Agreement(1, names=1.0, words=1.0, by_chance=0.0)
    assert figures[Grain.SENTENCE] == Agreement(1, names=0.0, words=1.0, by_chance=0.0)


@pytest.mark.parametrize(
    "second", [[], [answer("b", "rain")], [answer("a", "Jordan", Grain.SENTENCE)], [answer("nowhere", "Jordan")]]
)
def test_without_common_answers_there_are_no_figures(second: list[Knowledge]) -> None:
    assert agreement([answer("a", "Jordan")], second, POSTS) == {}


def test_answers_to_unknown_posts_are_ignored() -> None:
    stray = [answer("nowhere", "Jordan")]
    assert agreement(stray, stray, POSTS) == {}
