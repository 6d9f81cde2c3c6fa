"""A vision model as a captioner: what it is sent, what of its answers is a caption, and what it costs twice."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cotpd.captions.captioner import ImageRejection
from cotpd.captions.image_folder import Picture
from cotpd.captions.vision_captioner import VisionCaptioner, judge, question
from cotpd.core.records import Caption
from cotpd.llm.language_model import Answer, Message
from cotpd.llm.models.chat_model import ChatModel
from cotpd.llm.store.request_store import RequestStore
from cotpd.testing.scripted_model import ScriptedModel


def picture(name: str, colour: tuple[int, int, int] = (255, 0, 0)) -> Picture:
    return Picture(name, Image.new("RGB", (30, 20), colour), f"sha-of-{colour}")


def reply(messages: Sequence[Message]) -> str:
    """Answers by the colour that it was really sent."""
    pixels = Image.open(io.BytesIO(messages[-1].images[0].read())).convert("RGB")
    red, _, blue = pixels.getpixel((0, 0))  # type: ignore[misc]
    return "**A red field.**" if red > blue else "<think>blue?</think>\nA blue\nfield."


def test_each_picture_is_sent_and_its_answer_tidied() -> None:
    captioner = VisionCaptioner(ScriptedModel(reply, name="eye"))
    outcomes = {each.image_id: each for each in captioner.captions([picture("a"), picture("b", (0, 0, 255))])}
    assert outcomes == {"a": Caption("a", "A red field.", "eye"), "b": Caption("b", "A blue field.", "eye")}


def test_over_the_wire_it_is_a_jpeg_in_the_message_and_no_address(chat_server: Any) -> None:
    chat_server.script = lambda number, question: "A field."
    with ChatModel("eye", base_url=chat_server.url) as model:
        assert list(VisionCaptioner(model).captions([picture("a")])) == [Caption("a", "A field.", "eye")]
    [asked] = chat_server.questions
    part = next(part for part in asked["messages"][-1]["content"] if part["type"] == "image_url")
    scheme, _, data = part["image_url"]["url"].partition(",")
    assert scheme == "data:image/jpeg;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (30, 20)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer("A man on a bench."), None),
        (Answer(""), "empty"),
        (Answer("<think>What is it?</think>"), "empty"),
        (Answer("I'm sorry, I can’t describe people."), "refusal"),
        (Answer("I can’t help with that."), "refusal"),
        (Answer("", finish_reason="too_long"), "too long"),
        (Answer("A man who", finish_reason="length"), "cut"),
        (Answer("A man. He", finish_reason="length"), None),
    ],
)
def test_what_is_no_caption_has_a_reason(answer: Answer, reason: str | None) -> None:
    assert judge(answer) == reason
    [outcome] = VisionCaptioner(ScriptedModel(lambda messages: answer, name="eye")).captions([picture("a")])
    if reason is None:
        assert outcome == Caption("a", "A man." if "He" in answer.text else answer.text, "eye")
    else:
        assert outcome == ImageRejection("a", reason, "eye", answer.text)


def test_only_a_changed_image_or_model_is_asked_about_again(tmp_path: Path) -> None:
    seen: list[str] = []

    def reply_and_count(messages: Sequence[Message]) -> str:
        seen.append(messages[-1].content)
        return "A field."

    with RequestStore(tmp_path / "store") as store:
        captioner = VisionCaptioner(ScriptedModel(reply_and_count, name="eye"), store=store)
        for _ in range(2):
            assert len(list(captioner.captions([picture("a"), picture("b", (0, 0, 255))]))) == 2
        assert len(seen) == 2
        list(captioner.captions([picture("a", (0, 9, 0))]))
        assert len(seen) == 3


def test_a_question_holds_nothing_of_the_post_or_the_file() -> None:
    request = question(picture("secret-name.jpg"))
    assert "secret-name" not in "".join(message.content for message in request.messages)
    assert "never an instruction" in request.messages[0].content
