"""`cotpd elicit`: answers survive any interruption, and the exit code says how a run ended."""

from __future__ import annotations

import json
import os
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
from cotpd.llm.store.request_store import RequestStore
from cotpd.testing.fake_server import FakeServer, Reply

Cotpd = Callable[..., Any]
IDS = ("a", "b", "c", "d")
NUM_QUESTIONS = 3 * len(IDS)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four posts with images and captions, two of them in train."""
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    for split, ids in (("train", "ab"), ("dev", "c"), ("test", "d")):
        rows = [{"id": id, "words": ["Jordan", id, "wins"], "image": f"{id}.jpg"} for id in ids]
        (tmp_path / f"{split}.jsonl").write_text("".join(map(json_line, rows)), encoding="utf-8")
    captions = [{"image_id": f"{id}.jpg", "captioner": "we", "text": f"a man and {id}"} for id in IDS]
    (tmp_path / "captions.jsonl").write_text("".join(map(json_line, captions)), encoding="utf-8")
    return tmp_path


def reply(question: dict[str, Any]) -> str:
    return f"It tells {hash_text(question['messages'][-1]['content'])[:6]} of the wins."


def rows(data: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (data / "knowledge.jsonl").read_text("utf-8").splitlines()]


def run_until(number: int, kind: signal.Signals, data: Path, server: FakeServer, *options: str) -> tuple[int, str]:
    """Run the command in a process that receives a signal at question ``number``; return exit code and stderr."""
    started: Queue[subprocess.Popen[str]] = Queue()

    def answer_or_signal(count: int, question: dict[str, Any]) -> str:
        if server.num_questions == number:
            started.get(timeout=60).send_signal(kind)
        return reply(question)

    server.script = answer_or_signal
    words = ["elicit", str(data), "--model", "small", "--base-url", server.url, *options]
    program = [sys.executable, "-c", "from cotpd.cli.app import main; main()", *words]
    with subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        started.put(process)
        _, errors = process.communicate(timeout=120)
    return process.returncode, errors


def answer_all(server: FakeServer) -> None:
    server.script = lambda number, question: reply(question)


def num_stored(data: Path) -> int:
    with RequestStore(data / "requests.sqlite") as store:
        return len(list(store))


def test_answers_are_beside_the_corpus(data: Path, chat_server: FakeServer, cotpd: Cotpd) -> None:
    answer_all(chat_server)
    ended = cotpd("elicit", data, "--model", "small", "--base-url", chat_server.url)
    assert (ended.code, ended.err) == (0, "")
    assert f"{NUM_QUESTIONS} answers, 0 rejected; {NUM_QUESTIONS} asked, 0 reused" in ended.out
    assert "noun                4 answers of  6.0 words; grounded" in ended.out
    assert [(row["grain"], row["example_id"]) for row in rows(data)] == [(grain, id) for grain in Grain for id in IDS]


@pytest.mark.slow
def test_a_killed_run_continues_and_loses_only_requests_in_flight(
    data: Path, chat_server: FakeServer, cotpd: Cotpd
) -> None:
    """The files are those of an uninterrupted run."""
    concurrency = 2
    kills = (NUM_QUESTIONS // 2, NUM_QUESTIONS)
    for number in kills:
        ended = run_until(number, signal.SIGKILL, data, chat_server, "--concurrency", str(concurrency))
        assert ended[0] == -signal.SIGKILL
        assert num_stored(data) >= number - concurrency * (kills.index(number) + 1)
    answer_all(chat_server)
    arguments = ("elicit", data, "--model", "small", "--base-url", chat_server.url)
    assert cotpd(*arguments).code == 0
    assert NUM_QUESTIONS <= chat_server.num_questions <= NUM_QUESTIONS + concurrency * len(kills)
    continued = (data / "knowledge.jsonl").read_bytes()
    whole = data / "whole" / "knowledge.jsonl"
    assert cotpd(*arguments, "--out", whole).code == 0
    assert whole.read_bytes() == continued
    before = chat_server.num_questions
    assert cotpd(*arguments).code == 0
    assert chat_server.num_questions == before


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_keeps_its_answers(
    kind: signal.Signals, code: int, data: Path, chat_server: FakeServer, cotpd: Cotpd
) -> None:
    """On a machine too busy to read an answer within five seconds, the request in flight is repeated."""
    assert run_until(3, kind, data, chat_server, "--concurrency", "1") == (code, "")
    stored = num_stored(data)
    assert stored in (2, 3)
    answer_all(chat_server)
    assert cotpd("elicit", data, "--model", "small", "--base-url", chat_server.url).code == 0
    assert chat_server.num_questions == NUM_QUESTIONS + 3 - stored


@pytest.mark.slow
def test_an_interrupted_run_does_not_wait_for_a_silent_endpoint(data: Path, chat_server: FakeServer) -> None:
    """It ends after the drain time of its policy, here 0.2 seconds, although the time-out is two minutes."""
    hang = Reply(ending="hang")
    started: Queue[subprocess.Popen[bytes]] = Queue()

    def script(number: int, question: dict[str, Any]) -> Reply:
        if number == 4:
            started.get(timeout=60).send_signal(signal.SIGINT)
        return hang

    chat_server.script = script
    words = ["elicit", str(data), "--model", "small", "--base-url", chat_server.url, "--concurrency", "4"]
    program = "from functools import partial; from cotpd.llm.asking import policy; from cotpd.cli.app import main; "
    program += "policy.Policy = partial(policy.Policy, drain=0.2); main()"
    with subprocess.Popen([sys.executable, "-c", program, *words]) as process:
        started.put(process)
        assert process.wait(timeout=100) == 130


def test_a_thinking_model_gets_a_longer_limit(data: Path, chat_server: FakeServer, cotpd: Cotpd) -> None:
    """At the default limit only its thoughts fit, and the report says what to change."""

    def think(number: int, question: dict[str, Any]) -> Reply:
        is_cut = question["max_tokens"] < 2_000
        thoughts = "<seed:think>The names are"
        return Reply(thoughts, "length") if is_cut else Reply(f"{thoughts} clear.</seed:think>{reply(question)}</s>")

    chat_server.script = think
    arguments = ("elicit", data, "--model", "small", "--base-url", chat_server.url, "--grain", "sentence")
    ended = cotpd(*arguments)
    assert ended.code == 3
    assert "0 answers, 4 rejected (4 cut)" in ended.out
    assert "4 answers reached the token limit before they were usable; if the model thinks before it" in ended.out
    ended = cotpd(*arguments, "--answer-tokens", 2_000)
    assert (ended.code, "4 answers, 0 rejected; 4 asked" in ended.out, "token limit" in ended.out) == (0, True, False)
    assert {row["text"] for row in rows(data)} == set(map(reply, chat_server.questions))
    assert "8,004 completion" in cotpd(*arguments, "--answer-tokens", 2_001, "--dry-run").out


def test_a_second_run_is_an_error_that_names_the_first(data: Path, chat_server: FakeServer, cotpd: Cotpd) -> None:
    with RequestStore(data / "requests.sqlite"):
        ended = cotpd("elicit", data, "--model", "small", "--base-url", chat_server.url)
    assert (ended.code, chat_server.num_questions) == (1, 0)
    assert f"process {os.getpid()}" in ended.err


def test_no_home_directory_is_needed(
    data: Path, chat_server: FakeServer, cotpd: Cotpd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/nowhere")
    answer_all(chat_server)
    assert cotpd("elicit", data, "--model", "small", "--base-url", chat_server.url).code == 0


def test_a_reached_budget_ends_with_exit_code_4_and_the_next_run_continues(
    data: Path, chat_server: FakeServer, cotpd: Cotpd
) -> None:
    answer_all(chat_server)
    arguments = ("elicit", data, "--model", "small", "--base-url", chat_server.url)
    ended = cotpd(*arguments, "--max-requests", "5")
    assert (ended.code, chat_server.num_questions, len(rows(data))) == (4, 5, 5)
    assert "error: the budget is" in ended.err
    ended = cotpd(*arguments, "--price", "1000000,0", "--json")
    values = json.loads(ended.out)
    assert (ended.code, chat_server.num_questions) == (0, NUM_QUESTIONS)
    assert values["cost"] == values["prompt_tokens"] > 0
    assert json.loads(cotpd(*arguments, "--json").out)["cost"] is None


def test_each_wording_has_its_own_file(data: Path, chat_server: FakeServer, cotpd: Cotpd) -> None:
    answer_all(chat_server)
    arguments = ("elicit", data, "--model", "small", "--base-url", chat_server.url)
    cotpd(*arguments)
    for wording in ("v2", "direct-v1"):
        assert cotpd(*arguments, "--wording", wording).code == 0
        wording_rows = [
            json.loads(line) for line in (data / f"knowledge-{wording}.jsonl").read_text("utf-8").splitlines()
        ]
        assert {row["template"] for row in wording_rows} == {f"{grain}.{wording}" for grain in Grain}
    assert chat_server.num_questions == 3 * NUM_QUESTIONS
    assert len(rows(data)) == NUM_QUESTIONS
    assert cotpd("check", data).code == 0


def test_an_answer_of_another_model_is_reported(data: Path, chat_server: FakeServer, cotpd: Cotpd) -> None:
    body = {
        "model": "chea\x1b[2Jper",
        "choices": [{"message": {"content": "It tells of the wins."}, "finish_reason": "stop"}],
    }
    chat_server.script = lambda number, question: Reply(body=json.dumps(body).encode())
    ended = cotpd("elicit", data, "--model", "small", "--base-url", chat_server.url)
    assert "warning: chea\ufffd[2Jper answered instead of small" in ended.out


def test_the_next_run_asks_questions_without_an_answer(data: Path, chat_server: FakeServer, cotpd: Cotpd) -> None:
    refused = Reply(body=b'{"error": {"message": "not this one"}}', status=400)
    chat_server.script = lambda number, question: refused if number == 2 else reply(question)
    arguments = ("elicit", data, "--model", "small", "--base-url", chat_server.url)
    ended = cotpd(*arguments)
    assert (ended.code, len(rows(data))) == (3, NUM_QUESTIONS - 1)
    assert "1 without an answer; the next run asks again. Main error: " in ended.out
    assert "not this one" in ended.out
    assert cotpd(*arguments).code == 0
    assert len(rows(data)) == NUM_QUESTIONS


@pytest.mark.parametrize("status", [400, 401])
def test_text_from_an_endpoint_cannot_control_the_terminal(
    status: int, data: Path, chat_server: FakeServer, cotpd: Cotpd
) -> None:
    message = "\x1b]0;pwned\x07 \x1b[2J \u202e no\n\nway"
    refusal = Reply(body=json.dumps({"error": {"message": message}}).encode(), status=status)
    chat_server.script = lambda number, question: refusal if number == 2 else reply(question)
    ended = cotpd("elicit", data, "--model", "small", "--base-url", chat_server.url, "--concurrency", "1")
    shown = ended.out + ended.err
    assert "no way" in shown
    assert "pwned" in shown
    assert not {"\x1b", "\x07", "\u202e"} & set(shown)


def test_a_post_id_cannot_control_the_terminal(data: Path, cotpd: Cotpd) -> None:
    (data / "train.jsonl").write_text(json_line({"id": "p\x1b]0;pwned\x07", "words": ["Jordan"]}), encoding="utf-8")
    arguments = ("elicit", data, "--model", "small", "--base-url", "http://127.0.0.1:9/v1", "--split", "train")
    ended = cotpd(*arguments, "--dry-run")
    assert "── noun.v1, p\ufffd]0;pwned\ufffd\n" in ended.out


def test_a_batch_is_written_and_its_results_are_read(data: Path, chat_server: FakeServer, cotpd: Cotpd) -> None:
    arguments = ("elicit", data, "--model", "small", "--base-url", chat_server.url)
    out, back = data / "batch" / "out.jsonl", data / "batch" / "back.jsonl"
    ended = cotpd(*arguments, "--to-batch", out)
    assert (ended.code, f"{out}: {NUM_QUESTIONS} questions" in ended.out) == (0, True)
    asked = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert cotpd(*arguments, "--to-batch", out).code == 2
    again = cotpd(*arguments, "--to-batch", data / "batch" / "again.jsonl")
    assert f"no question is left to ask, {NUM_QUESTIONS} are in a batch; `cotpd store" in again.out
    assert (again.code, (data / "batch" / "again.jsonl").exists()) == (0, False)
    answers = [{"choices": [{"message": {"content": reply(each["body"])}, "finish_reason": "stop"}]} for each in asked]
    results = [
        {"custom_id": each["custom_id"], "response": {"status_code": 200, "body": body}, "error": None}
        for each, body in zip(asked, answers, strict=True)
    ]
    back.write_text("".join(map(json_line, reversed(results[1:]))), encoding="utf-8")
    ended = cotpd(*arguments, "--from-batch", back)
    assert (ended.code, chat_server.num_questions, len(rows(data))) == (0, 0, NUM_QUESTIONS - 1)
    assert "batch: 11 answered, 1 missing" in ended.err
    assert next((row["grain"], row["example_id"]) for row in rows(data)) == ("noun", "b")
    assert f"{NUM_QUESTIONS - 1} answers, 0 rejected; 0 asked, {NUM_QUESTIONS - 1} reused" in ended.out
    chat_server.script = lambda number, question: reply(question)
    assert "1 questions are in a batch; they are asked and paid for again" in cotpd(*arguments).err
    assert chat_server.num_questions == 1
    assert "all are answered" in cotpd(*arguments, "--to-batch", data / "batch" / "again.jsonl").out


@pytest.mark.parametrize("options", [("--max-requests", "2"), ("--rpm", "1"), ("--ask-again",)])
def test_reading_a_batch_ignores_budgets_and_rates(
    options: tuple[str, ...], data: Path, chat_server: FakeServer, cotpd: Cotpd
) -> None:
    """Questions without a result are no failures; results with an error are."""
    arguments = ("elicit", data, "--model", "small", "--base-url", chat_server.url)
    out, back = data / "batch" / "out.jsonl", data / "batch" / "back.jsonl"
    cotpd(*arguments, "--to-batch", out)
    keys = [json.loads(line)["custom_id"] for line in out.read_text("utf-8").splitlines()]
    failed = [{"custom_id": key, "response": None, "error": {"code": "batch_expired"}} for key in keys[:2]]
    body = {"choices": [{"message": {"content": ""}, "finish_reason": "stop"}]}
    empty = {"custom_id": keys[2], "response": {"status_code": 200, "body": body}, "error": None}
    back.write_text("".join(map(json_line, [*failed, empty])), encoding="utf-8")
    ended = cotpd(*arguments, "--from-batch", back, "--json", *options)
    values = json.loads(ended.out)
    assert (ended.code, chat_server.num_questions) == (3, 0)
    assert [values[name] for name in ("kept", "rejected", "failed", "num_asked")] == [0, 1, 2, 0]
    values = json.loads(cotpd(*arguments, "--from-batch", back, "--json", "--max-rejected", "1", *options).out)
    assert [values[name] for name in ("kept", "rejected", "failed", "num_asked")] == [0, 1, 0, 0]


def test_too_many_rejections_end_with_exit_code_3(data: Path, chat_server: FakeServer, cotpd: Cotpd) -> None:
    chat_server.script = lambda number, question: (
        "" if "Jordan a" in question["messages"][-1]["content"] else reply(question)
    )
    arguments = ("elicit", data, "--model", "small", "--base-url", chat_server.url)
    ended = cotpd(*arguments)
    assert ended.code == 3
    assert "9 answers, 3 rejected (3 empty)" in ended.out
    assert "error: 25.0% of the answers were rejected or have no answer, more than 5.0%" in ended.err
    assert cotpd(*arguments, "--max-rejected", "0.25").code == 0


def test_questions_without_an_answer_are_not_called_rejected(data: Path, chat_server: FakeServer, cotpd: Cotpd) -> None:
    """There is no rejections.jsonl to look at, and a stronger model would be refused as well."""
    refusal = Reply(body=b'{"detail": [{"loc": ["body", "n"], "msg": "Field required"}]}', status=422)
    chat_server.script = lambda number, question: refusal if number > 4 else reply(question)
    ended = cotpd("elicit", data, "--model", "small", "--base-url", chat_server.url, "--concurrency", 1)
    assert ended.code == 3
    [last] = [line for line in ended.err.splitlines() if line.startswith("error: ")]
    assert "8 of 12 questions have no answer: small answered with an error: body.n: Field required" in last
    assert "(8 times); run the command again" in last
    assert "reject" not in last


def test_token_counts_that_the_server_does_not_report_are_not_printed_as_zero(
    data: Path, chat_server: FakeServer, cotpd: Cotpd
) -> None:
    message = {"message": {"content": "It tells of the wins."}, "finish_reason": "stop"}
    body = {"choices": [message], "usage": {"prompt_tokens": 0, "completion_tokens": 7}}
    chat_server.script = lambda number, question: Reply(body=json.dumps(body).encode())
    arguments = ("elicit", data, "--model", "small", "--base-url", chat_server.url, "--price", "1,1")
    out = cotpd(*arguments, "--grain", "sentence", "--limit", "1").out
    assert "; unknown prompt tokens, 7 completion tokens (the server did not report about" in out
    assert "cost" not in out
    assert cotpd(*arguments, "--max-tokens", "1500", "--concurrency", "1").code == 4


def test_ask_again_repeats_questions_with_rejected_answers(data: Path, chat_server: FakeServer, cotpd: Cotpd) -> None:
    chat_server.script = lambda number, question: "" if number == 1 else reply(question)
    arguments = ("elicit", data, "--model", "small", "--base-url", chat_server.url, "--max-rejected", "1")
    cotpd(*arguments)
    answer_all(chat_server)
    assert "0 asked, 12 reused" in cotpd(*arguments).out
    assert "calls: 0" in cotpd(*arguments, "--dry-run").out
    assert "calls: 1\n" in cotpd(*arguments, "--ask-again", "--dry-run").out
    assert f"{NUM_QUESTIONS} answers, 0 rejected; 1 asked, 11 reused" in cotpd(*arguments, "--ask-again").out
    assert chat_server.num_questions == NUM_QUESTIONS + 1
    assert (data / "rejections.jsonl").read_text("utf-8") == ""


def test_a_dry_run_asks_nothing(data: Path, chat_server: FakeServer, cotpd: Cotpd) -> None:
    answer_all(chat_server)
    arguments = ("elicit", data, "--model", "small", "--base-url", chat_server.url)
    assert cotpd(*arguments, "--grain", "noun", "--split", "train").code == 0
    ended = cotpd(*arguments, "--dry-run")
    assert ended.code == 0
    assert f"10 of {NUM_QUESTIONS} questions to ask about 4 posts\ncalls: 10\ntokens, at most: " in ended.out
    assert "price, at most: unknown" in ended.out
    assert "price, at most: 0.00" in cotpd(*arguments, "--dry-run", "--price", "0.1,0.2").out
    for grain in Grain:
        assert f"── {grain}.v1, a\n[system]\n" in ended.out
    assert ended.out.count("<post>\nJordan a wins\n</post>") == 3
    assert len(chat_server.questions) == 2


def test_grain_split_and_limit_select_questions(data: Path, chat_server: FakeServer, cotpd: Cotpd) -> None:
    answer_all(chat_server)
    arguments = ["--grain", "sentence", "--grain", "sentence", "--split", "train", "--limit", 1]
    out = data / "elsewhere" / "mine.jsonl"
    ended = cotpd("elicit", data, "--model", "small", "--base-url", chat_server.url, *arguments, "--out", out)
    assert ended.code == 0
    selected = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [(row["example_id"], row["grain"]) for row in selected] == [("a", "sentence")]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--model", "small"], 2, "needs an endpoint; give --base-url URL"),
        (["--model", "nowhere/small.gguf"], 6, "no such model file"),
        (["--model", "small", "--base-url", "http://127.0.0.1:9/v1"], 1, "gave no answer"),
        (["--model", "small", "--grain", "word"], 2, "word"),
        (["--model", "small", "--limit", "0"], 2, "--limit"),
        (["--model", "small", "--wording", "v9"], 2, "--wording"),
        (["--model", "small", "--base-url", "http://127.0.0.1:9/v1", "--max-cost", "1"], 2, "needs the price"),
        (["--model", "small", "--base-url", "http://127.0.0.1:9/v1", "--price", "1"], 2, "--price must be two numbers"),
        (["--model", "small", "--max-rejected", "5"], 2, "--max-rejected"),
        (["--model", "small", "--ask-again", "--to-batch", "b.jsonl"], 2, "remove --ask-again or --to-batch"),
        (["--model", "small", "--from-batch", "a", "--to-batch", "b"], 2, "remove --from-batch or --to-batch"),
        (
            ["--model", "small", "--max-requests", "0", "--to-batch", "b"],
            2,
            "remove --max-requests, --max-tokens and --max-cost",
        ),
        (["--model", "small", "--max-cost", "1", "--to-batch", "b"], 2, "a batch file has no budget"),
    ],
)
def test_a_wrong_option_is_one_line_on_stderr(
    arguments: list[str], code: int, message: str, data: Path, cotpd: Cotpd
) -> None:
    ended = cotpd("elicit", data, *arguments)
    assert ended.code == code
    assert message in ended.err
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize("choice", [("--split", "train"), ("--split", "dev"), ("--limit", 1)])
def test_an_id_with_two_texts_is_an_error_before_anything_is_asked(
    choice: tuple[object, ...], data: Path, chat_server: FakeServer, cotpd: Cotpd
) -> None:
    """Answers belong to ids, so the post of dev would get the answer of train."""
    (data / "dev.jsonl").write_text(json_line({"id": "a", "words": ["Obama", "sings"]}), encoding="utf-8")
    ended = cotpd("elicit", data, "--model", "small", "--base-url", chat_server.url, *choice)
    assert (ended.code, ended.err) == (5, "error: a: 2 examples have this id; make the ids unique\n")
    assert chat_server.questions == []


def test_a_post_in_two_splits_is_no_error(data: Path, chat_server: FakeServer, cotpd: Cotpd) -> None:
    answer_all(chat_server)
    (data / "dev.jsonl").write_bytes((data / "train.jsonl").read_bytes())
    assert cotpd("elicit", data, "--model", "small", "--base-url", chat_server.url, "--split", "train").code == 0


def test_a_missing_split_is_an_error(data: Path, cotpd: Cotpd) -> None:
    (data / "dev.jsonl").unlink()
    ended = cotpd("elicit", data, "--model", "small", "--split", "dev")
    assert ended.code == 5
    assert "the corpus has no dev posts; it has train, test" in ended.err
