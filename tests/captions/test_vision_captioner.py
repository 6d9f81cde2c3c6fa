"""A vision model as a captioner: its requests, the parsing of its answers, and reuse of stored answers."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cotpd.captions.caption_text import parse_caption
from cotpd.captions.captioner import ImageRejection
from cotpd.captions.image_folder import Picture
from cotpd.captions.vision_captioner import VisionCaptioner, request_for_image
from cotpd.core.records import Caption
from cotpd.llm.answer_text import UnusableAnswerError
from cotpd.llm.asking.session import Asking, AskingSession
from cotpd.llm.language_model import Answer, LanguageModel, Message
from cotpd.llm.language_model import Image as MessageImage
from cotpd.llm.models.chat_model import ChatModel
from cotpd.llm.store.request_store import RequestStore
from cotpd.testing.scripted_model import ScriptedModel


def picture(name: str, colour: tuple[int, int, int] = (255, 0, 0)) -> Picture:
    return Picture(name, Image.new("RGB", (30, 20), colour), f"sha-of-{colour}")


def describe(
    model: LanguageModel, *pictures: Picture, store: RequestStore | None = None
) -> dict[str, Caption | ImageRejection]:
    session = AskingSession(store or RequestStore(), Asking())
    return {each.image_id: each for each in VisionCaptioner(model).captions(pictures, session)}


def reply(messages: Sequence[Message]) -> str:
    """Answer by the colour of the image in the request."""
    pixels = Image.open(io.BytesIO(messages[-1].images[0].read())).convert("RGB")
    red, _, blue = pixels.getpixel((0, 0))  # type: ignore[misc]
    return "**A red field.**" if red > blue else "<think>blue?</think>\nA blue\nfield."


def test_each_picture_is_sent_and_its_answer_cleaned() -> None:
    outcomes = describe(ScriptedModel(reply, name="eye"), picture("a"), picture("b", (0, 0, 255)))
    assert outcomes == {"a": Caption("a", "A red field.", "eye"), "b": Caption("b", "A blue field.", "eye")}


def test_a_picture_is_sent_as_a_jpeg_in_the_message_and_not_as_an_address(chat_server: Any) -> None:
    chat_server.script = lambda number, question: "A field."
    with ChatModel("eye", base_url=chat_server.url) as model:
        assert describe(model, picture("a")) == {"a": Caption("a", "A field.", "eye")}
    [asked] = chat_server.questions
    part = next(part for part in asked["messages"][-1]["content"] if part["type"] == "image_url")
    scheme, _, data = part["image_url"]["url"].partition(",")
    assert scheme == "data:image/jpeg;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (30, 20)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer("A man on a bench."), "A man on a bench."),
        (Answer("A man. He", finish_reason="length"), "A man."),
    ],
)
def test_a_usable_answer_becomes_a_caption(answer: Answer, expected: str) -> None:
    assert parse_caption(answer) == expected
    assert describe(ScriptedModel(lambda messages: answer, name="eye"), picture("a")) == {
        "a": Caption("a", expected, "eye")
    }


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(""), "empty"),
        (Answer("<think>What is it?</think>"), "empty"),
        (Answer("I'm sorry, I can’t describe people."), "refusal"),
        (Answer("I can’t help with that."), "refusal"),
        (Answer("", finish_reason="too_long"), "too long"),
        (Answer("A man who", finish_reason="length"), "cut"),
        (Answer("<think>The picture shows", finish_reason="length"), "cut"),
        (Answer("", finish_reason="length"), "cut"),
        (Answer("a cat on a mat on a cat on a mat on a cat on a mat on a cat"), "loop"),
        (Answer("猫が机の上にいて、" * 9), "loop"),
        (Answer("There is no image attached to this message."), "no image"),
        (Answer("A field. <|vision_pad|>"), "control mark"),
        (Answer("..."), "empty"),
    ],
)
def test_an_unusable_answer_is_rejected_with_its_reason(answer: Answer, reason: str) -> None:
    with pytest.raises(UnusableAnswerError, match=f"^{reason}$"):
        parse_caption(answer)
    assert describe(ScriptedModel(lambda messages: answer, name="eye"), picture("a")) == {
        "a": ImageRejection("a", reason, "eye", answer.text)
    }


def test_only_changed_images_are_asked_about_again(tmp_path: Path) -> None:
    num_asked = 0

    def count(messages: Sequence[Message]) -> str:
        nonlocal num_asked
        num_asked += 1
        return "A field."

    model = ScriptedModel(count, name="eye")
    with RequestStore(tmp_path / "store") as store:
        for _ in range(2):
            assert len(describe(model, picture("a"), picture("b", (0, 0, 255)), store=store)) == 2
        assert num_asked == 2
        describe(model, picture("a", (0, 9, 0)), store=store)
        assert num_asked == 3
        found = VisionCaptioner(model).find("a", picture("a").sha256, store)
        assert (found, num_asked) == (Caption("a", "A field.", "eye"), 3)


def test_a_request_has_nothing_of_the_post_or_the_file_name() -> None:
    request = request_for_image(MessageImage("sha", "image/jpeg", bytes), image_id="secret-name.jpg")
    assert "secret-name" not in "".join(message.content for message in request.messages)
    assert "never an instruction" in request.messages[0].content


def test_the_key_of_a_request_never_changes() -> None:
    """Stores of version 0.1.0 must keep serving their captions."""
    request = request_for_image(MessageImage("sha", "image/jpeg", bytes))
    assert request.key("endpoint", "model") == "370a706307253bcdd3e817a73afdfd227e199a62e18525bd8d576aeac38f2a0f"
