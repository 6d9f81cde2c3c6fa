"""Judging captions: an answer that is no caption is rejected, whoever made it."""

from __future__ import annotations

import pytest

from cotpd.captions.caption_text import parse_caption, plain_caption
from cotpd.llm.answer_text import UnusableAnswerError
from cotpd.llm.language_model import Answer


@pytest.mark.parametrize(
    "text",
    [
        "I don't see an image attached to your message.",
        "No image was provided.",
        "There is no picture.",
        "It looks like you didn't attach a photo. Please upload one.",
        "It seems that the image did not load.",
        "The image is not visible.",
        "Sure! Please provide the image that you would like me to describe.",
        "Unfortunately, you haven’t uploaded a file yet.",
    ],
)
def test_an_answer_that_lacks_an_image_is_rejected(text: str) -> None:
    for parse in (parse_caption, plain_caption):
        with pytest.raises(UnusableAnswerError, match=r"^no image$"):
            parse(Answer(text))


@pytest.mark.parametrize(
    "text",
    [
        "A sign that reads no image available.",
        "There is no image of a person on the wall.",
        "The image does not show any people.",
        "The photo is not in focus and shows a dog.",
        "A boy cannot see the picture because of the crowd.",
        "a man in a suit and tie and a woman in a suit and tie",
        "Ein Hund läuft über eine Wiese.",
    ],
)
def test_a_caption_that_only_mentions_an_image_is_kept(text: str) -> None:
    assert parse_caption(Answer(text)) == plain_caption(Answer(text)) == text


def test_a_cut_caption_ends_with_its_last_sentence_in_any_script() -> None:
    assert parse_caption(Answer("A man! He wears v1.5 of a", finish_reason="length")) == "A man!"
    assert parse_caption(Answer("犬がいる。それは", finish_reason="length")) == "犬がいる。"


def test_a_loop_at_the_token_limit_is_called_a_loop() -> None:
    with pytest.raises(UnusableAnswerError, match=r"^loop$"):
        parse_caption(Answer("a red car and " * 9, finish_reason="length"))
