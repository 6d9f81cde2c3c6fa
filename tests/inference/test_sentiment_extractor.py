"""Marked targets become sentiments with exact offsets; entities that an extractor found are targets, too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from cotpd.core.errors import DataError, UsageError
from cotpd.core.records import SENTIMENTS, Example, Span, TargetSentiment
from cotpd.inference.decoding import decode
from cotpd.inference.extractor import Extraction, Extractor, Mention
from cotpd.inference.extractors import extractor_of
from cotpd.inference.marked_text import MarkedText
from cotpd.inference.rows.extraction import extract_rows
from cotpd.inference.rows.text_rows import TextRow
from cotpd.inference.sentiment_extractor import SentimentExtractor
from cotpd.inference.tasks import DECODERS
from cotpd.student.design import Design, PromptDesign
from cotpd.student.student import Student
from cotpd.views.view import ViewKind

TEXT = "👩\u200d🚀 Anna beats #Ajax"
ANNA, AJAX = (4, 8), (16, 20)


@pytest.fixture(scope="module")
def sentiment(make_loud: Callable[[Design], Student]) -> SentimentExtractor:
    prompt = PromptDesign(heads=2, length=3)
    extractor = extractor_of(make_loud(Design("sentiment", SENTIMENTS, ViewKind.PROMPT, prompt)))
    assert isinstance(extractor, SentimentExtractor)
    return extractor


def test_targets_keep_their_order_and_their_offsets(sentiment: SentimentExtractor) -> None:
    extraction = sentiment(MarkedText(TEXT, entities=(AJAX, ANNA)))
    assert [(mention.target.word, mention.target.start) for mention in extraction.sentiments] == [
        ("Ajax", 16),
        ("Anna", 4),
    ]
    assert all(mention.label in SENTIMENTS and 0 < mention.score <= 1 for mention in extraction.sentiments)
    first = extraction.to_dict()["sentiments"][0]
    assert first["target"] == {"word": "Ajax", "start": 16, "end": 20}
    assert sentiment(Extraction(TEXT, (Mention("PER", 0.9, "Anna", *ANNA),))).sentiments[0].target.word == "Anna"
    assert sentiment([MarkedText("no target")])[0].sentiments == ()


def test_extraction_uses_decode(sentiment: SentimentExtractor) -> None:
    example = Example("1", ("Anna", "joins", "Ajax"), sentiments=(TargetSentiment(Span(2, 3), "neutral"),))
    [prediction] = decode(sentiment.student, [example], kind=ViewKind.PROMPT)
    [mention] = sentiment(MarkedText("Anna joins Ajax", entities=((11, 15),))).sentiments
    assert (mention.label, mention.score) == (prediction.sentiments[0].label, prediction.sentiments[0].score)


@pytest.mark.parametrize("kind", ViewKind)
def test_each_target_gets_its_own_view(sentiment: SentimentExtractor, kind: ViewKind) -> None:
    targets = (TargetSentiment(Span(0, 1), "neutral"), TargetSentiment(Span(2, 3), "positive"))
    example = Example("1", ("anna", "joins", "ajax"), sentiments=targets)
    windows = list(DECODERS["sentiment"].windows(sentiment.student, 0, example, kind))
    assert [list(window.view.markers) for window in windows] == [[1, 6], [10, 15]]
    [prediction] = decode(sentiment.student, [example], kind=kind)
    assert [each.span for each in prediction.sentiments] == [each.span for each in targets]
    relabelled = replace(example, sentiments=tuple(replace(each, label="negative") for each in targets))
    assert list(decode(sentiment.student, [relabelled], kind=kind)) == [prediction]


def test_a_target_in_a_long_text_is_read_with_the_words_around_it(sentiment: SentimentExtractor) -> None:
    text = "ab " * 2_000
    [mention] = sentiment(MarkedText(text, entities=((3_000, 3_002),))).sentiments
    assert mention.target.word == "ab"
    with pytest.raises(DataError, match="but the encoder accepts at most"):
        sentiment(MarkedText(text, entities=((0, 5_000),)))


def test_rows_mark_one_target_or_all_entities(sentiment: SentimentExtractor) -> None:
    rows = [
        TextRow("Anna joins", {"text": "Anna joins", "target": {"start": 0, "end": 4}}, "a:1"),
        TextRow("Anna joins", {"words": ["Anna", "joins"], "entities": [{"start": 0, "end": 1}]}, "a:2"),
    ]
    first, second = (answer["sentiments"][0] for _, answer in extract_rows(sentiment.student, rows))
    assert first["target"] == second["target"] == {"word": "Anna", "start": 0, "end": 4}
    assert (first["label"], first["score"]) == (second["label"], pytest.approx(second["score"]))
    with pytest.raises(DataError, match=r"^a:3: the row has no marks; .* `target`"):
        list(extract_rows(sentiment.student, [TextRow("Anna", {"text": "Anna"}, "a:3")]))


def test_extractors_of_other_tasks_are_a_usage_error(sentiment: SentimentExtractor, student: Student) -> None:
    with pytest.raises(UsageError, match="trained on sentiment"):
        Extractor(sentiment.student)
    with pytest.raises(UsageError, match="SentimentExtractor needs a student trained on sentiment"):
        SentimentExtractor(student)
