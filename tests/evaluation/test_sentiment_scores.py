"""Target sentiment is scored by accuracy, which is the micro-averaged F1, and by macro F1."""

from __future__ import annotations

import pytest

from cotpd.core.records import Example, Prediction, Span, TargetSentiment
from cotpd.evaluation import evaluate


def record(labels: str) -> tuple[TargetSentiment, ...]:
    names = {"-": "negative", "0": "neutral", "+": "positive"}
    return tuple(TargetSentiment(Span(place, place + 1), names[sign]) for place, sign in enumerate(labels))


GOLD = [Example("a", ("x", "y"), sentiments=record("+0")), Example("b", ("x", "y", "z"), sentiments=record("-0+"))]
PREDICTED = [
    Prediction("a", ("x", "y"), sentiments=record("+-")),
    Prediction("b", ("x", "y", "z"), (), (), record("-0-")),
]


def test_micro_f1_is_the_accuracy_and_macro_f1_weighs_labels_equally() -> None:
    scores = evaluate(PREDICTED, GOLD, resamples=100)
    assert scores.task == "sentiment"
    assert scores.micro_f1 == pytest.approx(3 / 5)
    assert scores.macro_f1 == pytest.approx((2 * 1 / (3 + 1) + 2 * 1 / (1 + 2) + 2 * 1 / (1 + 2)) / 3)
    assert "accuracy 60.00" in str(scores)
    assert "mode" not in scores.heading


def test_targets_of_one_post_are_resampled_together() -> None:
    apart = [Example(f"{n}", ("x", "y"), sentiments=(each,)) for n, each in enumerate(record("+0"))]
    predicted = [Prediction(post.id, post.words, sentiments=post.sentiments) for post in apart]
    assert evaluate(predicted, apart).num_posts == 1
