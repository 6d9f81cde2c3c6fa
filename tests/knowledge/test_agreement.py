"""How far two models agree, without gold."""

from __future__ import annotations

import pytest

from cotpd.core.records import Grain, Knowledge, Post
from cotpd.knowledge.agreement import Agreement, agreement

POSTS = [Post("a", "Jordan beat Oman"), Post("b", "rain in Amman")]


def said(post: str, text: str, grain: Grain = Grain.NOUN) -> Knowledge:
    return Knowledge(grain, text, example_id=post)


def test_the_figures_of_a_grain() -> None:
    first = [said("a", "Jordan: a team of footballers"), said("b", "Amman: the capital of Jordan")]
    second = [said("a", "Jordan and Oman: a country"), said("b", "Amman: a capital")]
    # names: {jordan} of {jordan, oman}, {amman} of {amman}; words: none of {team, footballers, country},
    # {capital} of {capital, jordan}; by chance {team, footballers} and {capital}, {capital, jordan} and {country}
    assert agreement(first, second, POSTS) == {Grain.NOUN: Agreement(2, names=0.75, words=0.25, by_chance=0.0)}


def test_what_strangers_share_is_told() -> None:
    both = [said("a", "a team"), said("b", "a team")]
    found = agreement(both, both, POSTS)[Grain.NOUN]
    assert (found.words, found.by_chance) == (1.0, 1.0)


def test_one_model_agrees_with_itself_in_everything_it_says() -> None:
    answers = [said("a", "Jordan: a team"), said("b", "it pours", Grain.SENTENCE)]
    found = agreement(answers, answers, POSTS)
    assert found[Grain.NOUN] == Agreement(1, names=1.0, words=1.0, by_chance=0.0)
    assert found[Grain.SENTENCE] == Agreement(1, names=0.0, words=1.0, by_chance=0.0)


@pytest.mark.parametrize(
    "second", [[], [said("b", "rain")], [said("a", "Jordan", Grain.SENTENCE)], [said("nowhere", "Jordan")]]
)
def test_nothing_answered_by_both_has_no_figures(second: list[Knowledge]) -> None:
    assert agreement([said("a", "Jordan")], second, POSTS) == {}


def test_an_answer_to_no_post_counts_for_nothing() -> None:
    stray = [said("nowhere", "Jordan")]
    assert agreement(stray, stray, POSTS) == {}
