"""`cotpd elicit`: answers survive whatever stops it, and its exit code tells how it ended."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from cotpd.core.files import hash_text, json_line
from cotpd.core.records import Grain

Cotpd = Callable[..., Any]
IDS = ("a", "b", "c", "d")
NUM_QUESTIONS = 3 * len(IDS)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four posts with pictures, two of them for training."""
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    for split, ids in (("train", "ab"), ("dev", "c"), ("test", "d")):
        rows = [{"id": id, "words": ["Jordan", id, "wins"], "image": f"{id}.jpg"} for id in ids]
        (tmp_path / f"{split}.jsonl").write_text("".join(map(json_line, rows)), encoding="utf-8")
    captions = [{"image_id": f"{id}.jpg", "captioner": "we", "text": f"a man and {id}"} for id in IDS]
    (tmp_path / "captions.jsonl").write_text("".join(map(json_line, captions)), encoding="utf-8")
    return tmp_path


def reply(question: dict[str, Any]) -> str:
    return f"It tells {hash_text(question['messages'][-1]['content'])[:6]} of the man."


def rows(data: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (data / "knowledge.jsonl").read_text("utf-8").splitlines()]


def run_until(number: int, kind: signal.Signals, data: Path, server: Any) -> tuple[int, str]:
    """Run the command in a process that gets a signal while it waits for answer ``number``: its end and stderr."""
    started: Queue[subprocess.Popen[str]] = Queue()

    def reply_or_signal(question: dict[str, Any]) -> str:
        if len(server.questions) == number:
            started.get(timeout=60).send_signal(kind)
        return reply(question)

    server.reply = reply_or_signal
    words = ["elicit", str(data), "--model", "small", "--base-url", server.url]
    program = [sys.executable, "-c", "from cotpd.cli.app import main; main()", *words]
    with subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        started.put(process)
        _, errors = process.communicate(timeout=120)
    return process.returncode, errors


def test_answers_lie_beside_the_corpus(data: Path, chat_server: Any, cotpd: Cotpd) -> None:
    chat_server.reply = reply
    ended = cotpd("elicit", data, "--model", "small", "--base-url", chat_server.url)
    assert (ended.code, ended.err) == (0, "")
    assert f"{NUM_QUESTIONS} answers kept, 0 rejected; {NUM_QUESTIONS} asked now" in ended.out
    assert "84 tokens read, 36 written" in ended.out
    assert [(row["grain"], row["example_id"]) for row in rows(data)] == [(grain, id) for grain in Grain for id in IDS]


def test_killed_and_run_again_it_asks_only_what_is_missing(data: Path, chat_server: Any, cotpd: Cotpd) -> None:
    """Killed twice, once with a torn line: only the questions then on their way are asked, and paid, twice."""
    for number in (3, 7):
        assert run_until(number, signal.SIGKILL, data, chat_server)[0] == -signal.SIGKILL
    assert len(rows(data)) == 5
    with (data / "knowledge.jsonl").open("ab") as stream:
        stream.write(b'{"example_id": "b", "gra')
    chat_server.reply = reply
    ended = cotpd("elicit", data, "--model", "small", "--base-url", chat_server.url, "--json")
    assert json.loads(ended.out)["num_asked"] == NUM_QUESTIONS - 5
    assert len(chat_server.questions) == NUM_QUESTIONS + 2
    wanted = {reply(question) for question in chat_server.questions}
    assert {row["text"] for row in rows(data)} == wanted
    assert len(rows(data)) == NUM_QUESTIONS


@pytest.mark.parametrize(("kind", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_it_keeps_what_was_answered(kind: signal.Signals, code: int, data: Path, chat_server: Any) -> None:
    assert run_until(3, kind, data, chat_server) == (code, "")
    assert len(rows(data)) == 2


def test_more_rejections_than_allowed_end_with_3(data: Path, chat_server: Any, cotpd: Cotpd) -> None:
    chat_server.reply = lambda question: "" if "Jordan a" in question["messages"][-1]["content"] else reply(question)
    arguments = ("elicit", data, "--model", "small", "--base-url", chat_server.url)
    ended = cotpd(*arguments)
    assert ended.code == 3
    assert "9 answers kept, 3 rejected (3 empty)" in ended.out
    assert "error: 25.0% of the answers were rejected, more than 5.0%" in ended.err
    assert cotpd(*arguments, "--max-rejected", "0.25").code == 0


def test_a_rehearsal_asks_nothing(data: Path, chat_server: Any, cotpd: Cotpd) -> None:
    chat_server.reply = reply
    arguments = ("elicit", data, "--model", "small", "--base-url", chat_server.url)
    assert cotpd(*arguments, "--grain", "noun", "--split", "train").code == 0
    ended = cotpd(*arguments, "--dry-run")
    assert ended.code == 0
    assert f"10 of {NUM_QUESTIONS} questions to ask about 4 posts" in ended.out
    for grain in Grain:
        assert f"── {grain}.v1, a\n[system]\n" in ended.out
    assert ended.out.count("<post>\nJordan a wins\n</post>") == 3
    assert len(chat_server.questions) == 2


def test_grains_splits_and_limit_are_choices(data: Path, chat_server: Any, cotpd: Cotpd) -> None:
    chat_server.reply = reply
    arguments = ["--grain", "sentence", "--grain", "sentence", "--split", "train", "--limit", 1]
    out = data / "elsewhere" / "mine.jsonl"
    ended = cotpd("elicit", data, "--model", "small", "--endpoint", chat_server.url, *arguments, "--out", out)
    assert ended.code == 0
    kept = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [(row["example_id"], row["grain"]) for row in kept] == [("a", "sentence")]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--model", "small"], 2, "name the endpoint that has it with --base-url"),
        (["--model", "nowhere/small.gguf"], 6, "no such model file"),
        (["--model", "small", "--base-url", "http://127.0.0.1:9/v1"], 1, "gave no answer"),
        (["--model", "small", "--grain", "word"], 2, "word"),
        (["--model", "small", "--limit", "0"], 2, "--limit"),
        (["--model", "small", "--max-rejected", "5"], 2, "--max-rejected"),
    ],
)
def test_what_is_wrong_is_one_line(arguments: list[str], code: int, message: str, data: Path, cotpd: Cotpd) -> None:
    ended = cotpd("elicit", data, *arguments)
    assert ended.code == code
    assert message in ended.err
    assert ended.err.count("\n") == 1


def test_a_split_that_is_not_there_is_named(data: Path, cotpd: Cotpd) -> None:
    (data / "dev.jsonl").unlink()
    ended = cotpd("elicit", data, "--model", "small", "--split", "dev")
    assert ended.code == 5
    assert "no post of dev; there is train, test" in ended.err
