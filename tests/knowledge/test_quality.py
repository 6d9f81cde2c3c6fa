"""Quality of answers without gold labels."""

from __future__ import annotations

import pytest

from cotpd.core.records import Grain, Knowledge, Post, Rejection
from cotpd.knowledge.quality import Quality, measure, phrases

POSTS = [
    Post("a", "Jordan beat Oman in Amman , what a night #WCQ"),
    Post("b", "the rain again , and my umbrella"),
    Post("c", "😀 😀"),
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Jordan beat Oman in Amman , what a night #WCQ", {"jordan", "beat", "oman", "amman", "night", "wcq"}),
        ("RT @krol_news : Iron Lantern at the Royal Arena", {"krol_news", "iron lantern", "royal arena"}),
        ("the old town hall, and it rains https://t.co/x", {"old town hall", "rains"}),
        ("I 🎈 a", set()),
        ("", set()),
    ],
)
def test_names_and_noun_chunks(text: str, expected: set[str]) -> None:
    assert phrases(text) == expected


def knowledge(post: str, text: str) -> Knowledge:
    return Knowledge(Grain.NOUN, text, example_id=post)


def test_quality_at_one_grain() -> None:
    answers = [
        knowledge("a", "Jordan: a team\nOman: a team"),
        knowledge("b", "It rains, and the umbrella broke"),
        knowledge("c", "it rains , and the umbrella BROKE"),
    ]
    refusal = Rejection("d", Grain.NOUN, "refusal", "Sorry")
    other = Rejection("e", Grain.NOUN, "loop", "a a a a")
    assert measure(answers, [refusal, other], POSTS) == {
        Grain.NOUN: Quality(
            answers=3,
            words=6.0,
            grounding=pytest.approx((2 / 6 + 1 / 2) / 2),
            refused=1 / 5,
            duplicates=pytest.approx(1 / 3),
            diversity=pytest.approx(9 / 15),
        )
    }


def test_a_grain_with_only_rejections_has_figures() -> None:
    assert measure([], [Rejection("a", Grain.SENTENCE, "refusal", "")], POSTS)[Grain.SENTENCE].refused == 1.0
    assert measure([], [], POSTS) == {}
