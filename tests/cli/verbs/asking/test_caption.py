"""`cotpd caption`: captions of the images of a corpus, by a vision model or BLIP-2."""

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
    """Posts with the images a, b and c. Two posts share b, and c is missing."""
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
    assert "2 captions, 1 rejected (1 missing); 2 asked, 0 reused" in ended.out
    assert "error: 33.3% of the images were rejected or have no answer, more than 5.0%" in ended.err
    again = cotpd(*arguments, "--max-rejected", 1, "--json")
    values = json.loads(again.out)
    assert (again.code, values["num_asked"], values["num_reused"], len(chat_server.questions)) == (0, 0, 2, 2)
    assert (values["kept"], values["rejected"], values["reasons"], values["cost"]) == (2, 1, {"missing": 1}, None)
    assert [post.caption.text for post in Corpus.from_path(data).train if post.caption] == ["A dark field."] * 3
    rejected = (data / "captions.rejections.jsonl").read_text("utf-8")
    assert json.loads(rejected) | {"key": ""} == {
        "image_id": "c",
        "captioner": "eye",
        "key": "",
        "reason": "missing",
        "answer": "",
    }


def test_a_thinking_vision_model_gets_a_longer_limit(data: Path, images: Path, chat_server: Any, cotpd: Cotpd) -> None:
    chat_server.script = lambda number, question: FakeReply(
        f"◁think▷{question['max_tokens']}?◁/think▷A field.<|im_end|>"
    )
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
    assert "2 asked" in cotpd(*arguments).out
    assert "2 captions, 0 rejected; 2 asked" in cotpd(*arguments, "--answer-tokens", 900).out
    assert [question["max_tokens"] for question in chat_server.questions] == [80, 80, 900, 900]
    assert {post.caption.text for post in Corpus.from_path(data).train if post.caption} == {"A field."}


def test_the_next_run_asks_again_about_images_without_an_answer(
    data: Path, images: Path, chat_server: Any, cotpd: Cotpd
) -> None:
    chat_server.script = lambda number, question: FakeReply(status=400, body=b'{"error": {"message": "no"}}')
    arguments = ("caption", data, "--images", images, "--model", "eye", "--base-url", chat_server.url)
    ended = cotpd(*arguments, "--split", "train")
    assert (ended.code, "2 without an answer; the next run asks again" in ended.out) == (3, True)
    chat_server.script = lambda number, question: "A field."
    assert "2 captions, 0 rejected" in cotpd(*arguments, "--split", "train").out


def test_a_dry_run_describes_nothing(data: Path, images: Path, chat_server: Any, cotpd: Cotpd) -> None:
    arguments = ("caption", data, "--images", images, "--model", "eye", "--base-url", chat_server.url, "--dry-run")
    ended = cotpd(*arguments)
    assert (ended.code, chat_server.questions) == (0, [])
    assert "2 of 3 images to describe with eye; 0 have a caption, 1 are unusable" in ended.out
    assert "Describe this picture in one sentence" in ended.out
    assert not (data / "captions.jsonl").exists()


def test_a_dry_run_prints_the_price_of_open_questions(data: Path, images: Path, chat_server: Any, cotpd: Cotpd) -> None:
    """Equal contents are one call, stored answers are none."""
    (images / "c.jpg").write_bytes((images / "a.jpg").read_bytes())
    arguments = ("caption", data, "--images", images, "--model", "eye", "--base-url", chat_server.url)
    prices = ("--price", "1,1", "--dry-run")
    assert "calls: 2\n" in cotpd(*arguments, *prices).out
    assert "price, at 1,500 tokens per image: 0.00" in cotpd(*arguments, *prices).out
    cotpd(*arguments, "--split", "train", "--limit", "1", "--out", data / "elsewhere.jsonl")
    assert "calls: 1\n" in cotpd(*arguments, *prices).out
    assert "price, at 1,500 tokens per image: unknown" in cotpd(*arguments, "--dry-run").out


def test_a_reached_budget_ends_with_exit_code_4_and_the_next_run_continues(
    data: Path, images: Path, chat_server: Any, cotpd: Cotpd
) -> None:
    chat_server.script = lambda number, question: "A field."
    arguments = ("caption", data, "--images", images, "--model", "eye", "--base-url", chat_server.url)
    ended = cotpd(*arguments, "--split", "train", "--max-requests", "1")
    assert (ended.code, len(chat_server.questions)) == (4, 1)
    assert "error: the budget is" in ended.err
    ended = cotpd(*arguments, "--split", "train", "--price", "1000000,0", "--json")
    values = json.loads(ended.out)
    assert (ended.code, values["kept"], len(chat_server.questions)) == (0, 2, 2)
    assert values["cost"] == values["prompt_tokens"] > 0


def test_ask_again_repeats_questions_with_rejected_answers(
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
    assert "0 asked, 2 reused" in cotpd(*arguments).out
    assert "calls: 1\n" in cotpd(*arguments, "--ask-again", "--dry-run").out
    assert "2 captions, 0 rejected; 1 asked, 1 reused" in cotpd(*arguments, "--ask-again").out
    assert len(chat_server.questions) == 3


def test_a_dry_run_with_blip2_loads_no_model(data: Path, images: Path, cotpd: Cotpd) -> None:
    ended = cotpd("caption", data, "--images", images, "--model", "nobody/nothing@abc", "--dry-run", "--split", "train")
    assert ended.out == "2 of 2 images to describe with nothing; 0 have a caption, 0 are unusable\n"


@pytest.mark.slow
def test_blip2_captions_a_corpus_once(data: Path, images: Path, tiny_blip2: Path, cotpd: Cotpd) -> None:
    """The tiny model has random weights and repeats itself, so its captions are rejected."""
    arguments = ("caption", data, "--images", images, "--model", tiny_blip2, "--limit", 2, "--name", "tiny")
    ended = cotpd(*arguments, "--max-rejected", 1)
    assert (ended.code, ended.err) == (0, "")
    assert "0 captions, 2 rejected (2 loop); 2 asked, 0 reused" in ended.out
    rows = (data / "captions.rejections.jsonl").read_text("utf-8").splitlines()
    assert [(row["reason"], bool(row["answer"])) for row in map(json.loads, rows)] == [("loop", True)] * 2
    again = json.loads(cotpd(*arguments, "--max-rejected", 1, "--json").out)
    assert (again["num_asked"], again["num_reused"], again["reasons"]) == (0, 2, {"loop": 2})


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--images", "nowhere"], 5, "the folder of images does not exist"),
        (["--split", "unsplit"], 2, "--split"),
        (["--split", "test"], 5, "no example has an image id"),
        (["--model", "."], 2, "not a BLIP-2"),
        (["--answer-tokens", "90"], 2, "--answer-tokens only applies to an endpoint; add --base-url"),
        (["--max-requests", "5"], 2, "--max-requests only applies to an endpoint; add --base-url"),
        (["--base-url", "http://127.0.0.1:9/v1", "--device", "cpu"], 2, "--device only applies to BLIP-2; remove it"),
        (["--base-url", "http://127.0.0.1:9/v1", "--max-cost", "3"], 2, "needs the price"),
    ],
)
def test_a_wrong_option_is_one_line_on_stderr(
    arguments: list[str], code: int, message: str, data: Path, images: Path, cotpd: Cotpd
) -> None:
    ended = cotpd("caption", data, "--images", images, *arguments)
    assert (ended.code, ended.err.count("\n")) == (code, 1)
    assert message in ended.err
