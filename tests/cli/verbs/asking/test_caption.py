"""`cotpd caption`: images of a corpus to captions beside it, whatever lies in the folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cotpd.core.files import json_line
from cotpd.corpus.corpus import Corpus
from cotpd.testing.fake_server import Reply as FakeReply

Cotpd = Callable[..., Any]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Posts with the images a, b and c, where c is missing; b is shared by two."""
    path = tmp_path / "data"
    path.mkdir()
    for split, names in (("train", ("a", "b", "b")), ("dev", ("c",)), ("test", (None,))):
        posts = [{"id": f"{split}{n}", "words": ["Hi"]} | ({"image": i} if i else {}) for n, i in enumerate(names)]
        (path / f"{split}.jsonl").write_text("".join(map(json_line, posts)), encoding="utf-8")
    return path


@pytest.fixture
def images(tmp_path: Path) -> Path:
    path = tmp_path / "images"
    path.mkdir()
    for number, name in enumerate("ab"):
        Image.new("RGB", (9, 9), (99 * number, 0, 0)).save(path / f"{name}.jpg")
    return path


def test_a_vision_model_captions_a_corpus(data: Path, images: Path, chat_server: Any, cotpd: Cotpd) -> None:
    chat_server.script = lambda number, question: "A dark field."
    arguments = ("caption", data, "--images", images, "--model", "eye", "--base-url", chat_server.url)
    ended = cotpd(*arguments)
    assert ended.code == 3
    assert "2 images described, 1 rejected (1 missing); 2 looked at now" in ended.out
    assert "error: 33.3% of the images have no caption, more than 5.0%" in ended.err
    again = cotpd(*arguments, "--max-rejected", 1, "--json")
    told = json.loads(again.out)
    assert (again.code, told["num_computed"], len(chat_server.questions)) == (0, 0, 2)
    assert (told["kept"], told["rejected"], told["reasons"], told["cost"]) == (2, 1, {"missing": 1}, None)
    assert [post.caption.text for post in Corpus.from_path(data).train if post.caption] == ["A dark field."] * 3
    rejected = (data / "captions.rejections.jsonl").read_text("utf-8")
    assert json.loads(rejected) | {"key": ""} == {
        "image_id": "c",
        "captioner": "eye",
        "key": "",
        "reason": "missing",
        "answer": "",
    }


def test_an_image_without_an_answer_is_asked_about_by_the_next_run(
    data: Path, images: Path, chat_server: Any, cotpd: Cotpd
) -> None:
    """A refused request is no answer: kept as one, the image would never have a caption."""
    chat_server.script = lambda number, question: FakeReply(status=400, body=b'{"error": {"message": "no"}}')
    arguments = ("caption", data, "--images", images, "--model", "eye", "--base-url", chat_server.url)
    ended = cotpd(*arguments, "--split", "train")
    assert (ended.code, "2 without an answer, asked by the next run" in ended.out) == (3, True)
    chat_server.script = lambda number, question: "A field."
    assert "2 images described, 0 rejected" in cotpd(*arguments, "--split", "train").out


def test_a_rehearsal_describes_nothing(data: Path, images: Path, chat_server: Any, cotpd: Cotpd) -> None:
    arguments = ("caption", data, "--images", images, "--model", "eye", "--base-url", chat_server.url, "--dry-run")
    ended = cotpd(*arguments)
    assert (ended.code, chat_server.questions) == (0, [])
    assert "2 of 3 images to describe by eye; 0 are described, 1 unusable (1 missing)" in ended.out
    assert "Describe this picture in one sentence" in ended.out
    assert not (data / "captions.jsonl").exists()


def test_a_rehearsal_tells_what_is_left_to_pay(data: Path, images: Path, chat_server: Any, cotpd: Cotpd) -> None:
    """The same picture under two names is one call; what the store has is none."""
    (images / "c.jpg").write_bytes((images / "a.jpg").read_bytes())
    arguments = ("caption", data, "--images", images, "--model", "eye", "--base-url", chat_server.url)
    prices = ("--price-in", "1", "--price-out", "1", "--dry-run")
    assert "calls: 2\n" in cotpd(*arguments, *prices).out
    assert "price, with 1,500 tokens a picture: 0.00" in cotpd(*arguments, *prices).out
    cotpd(*arguments, "--split", "train", "--limit", "1", "--out", data / "elsewhere.jsonl")
    assert "calls: 1\n" in cotpd(*arguments, *prices).out
    assert "price, with 1,500 tokens a picture: unknown" in cotpd(*arguments, "--dry-run").out


def test_a_spent_budget_ends_with_4_and_goes_on_later(data: Path, images: Path, chat_server: Any, cotpd: Cotpd) -> None:
    """Fault 12."""
    chat_server.script = lambda number, question: "A field."
    arguments = ("caption", data, "--images", images, "--model", "eye", "--base-url", chat_server.url)
    ended = cotpd(*arguments, "--split", "train", "--max-requests", "1")
    assert (ended.code, len(chat_server.questions)) == (4, 1)
    assert "error: the budget is spent" in ended.err
    ended = cotpd(*arguments, "--split", "train", "--price-in", "1000000", "--price-out", "0", "--json")
    told = json.loads(ended.out)
    assert (ended.code, told["kept"], len(chat_server.questions)) == (0, 2, 2)
    assert told["cost"] == told["prompt_tokens"] > 0


def test_a_rejected_caption_is_asked_for_again_on_request(
    data: Path, images: Path, chat_server: Any, cotpd: Cotpd
) -> None:
    chat_server.script = lambda number, question: "I'm sorry." if number == 1 else "A field."
    arguments = (
        "caption",
        data,
        "--images",
        images,
        "--model",
        "eye",
        "--base-url",
        chat_server.url,
        "--split",
        "train",
    )
    assert "1 rejected (1 refusal)" in cotpd(*arguments).out
    assert "0 looked at now" in cotpd(*arguments).out
    assert "calls: 1\n" in cotpd(*arguments, "--ask-again", "--dry-run").out
    assert "2 images described, 0 rejected; 1 looked at now" in cotpd(*arguments, "--ask-again").out
    assert len(chat_server.questions) == 3


def test_a_rehearsal_of_blip2_loads_nothing(data: Path, images: Path, cotpd: Cotpd) -> None:
    ended = cotpd("caption", data, "--images", images, "--model", "nobody/nothing", "--dry-run", "--split", "train")
    assert ended.out == "2 of 2 images to describe by nothing; 0 are described, 0 unusable\n"


def test_blip2_captions_a_corpus(data: Path, images: Path, tiny_blip2: Path, cotpd: Cotpd) -> None:
    ended = cotpd("caption", data, "--images", images, "--model", tiny_blip2, "--limit", 2, "--name", "tiny")
    assert (ended.code, ended.err) == (0, "")
    assert all(post.caption for post in Corpus.from_path(data, captioner="tiny").train)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--images", "nowhere"], 5, "no such folder of images"),
        (["--split", "unsplit"], 2, "--split"),
        (["--split", "test"], 5, "no post names an image"),
        (["--model", "."], 2, "no BLIP-2 here"),
        (["--max-requests", "5"], 2, "--max-requests is for an endpoint: name one with --base-url"),
        (["--base-url", "http://127.0.0.1:9/v1", "--beams", "3"], 2, "--beams is for a BLIP-2: leave out --base-url"),
        (["--base-url", "http://127.0.0.1:9/v1", "--max-cost", "3"], 2, "needs the price"),
    ],
)
def test_what_is_wrong_is_one_line(
    arguments: list[str], code: int, message: str, data: Path, images: Path, cotpd: Cotpd
) -> None:
    ended = cotpd("caption", data, "--images", images, *arguments)
    assert (ended.code, ended.err.count("\n")) == (code, 1)
    assert message in ended.err
