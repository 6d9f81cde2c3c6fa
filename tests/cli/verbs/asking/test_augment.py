"""`cotpd augment`: variants of training posts beside the corpus, each question asked once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cotpd.core.files import json_line
from cotpd.corpus.corpus import Corpus

Cotpd = Callable[..., Any]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    for split, names in (("train", ("Kerr", "Messi", "Adele")), ("dev", ("Obama",)), ("test", ("Pele",))):
        rows = [
            {
                "id": f"{split}{n}",
                "words": [name, "sings", f"in{name}", "today"],
                "entities": [{"start": 0, "end": 1, "label": "PER"}],
            }
            for n, name in enumerate(names)
        ]
        (tmp_path / f"{split}.jsonl").write_text("".join(map(json_line, rows)), encoding="utf-8")
    return tmp_path


def reply(number: int, question: dict[str, Any]) -> str:
    text = question["messages"][-1]["content"]
    post = text.splitlines()[1]
    if text.endswith("yes or no:"):
        return "no" if "inAdele" in post else "yes"
    if text.endswith("picture shows:"):
        return f"a stage {post.split()[2]}"
    return "Zidane" if text.endswith("Another name:") else f"well {post} again"


def test_variants_are_beside_the_corpus_and_asked_for_once(data: Path, chat_server: Any, cotpd: Cotpd) -> None:
    chat_server.script = reply
    arguments = ("augment", data, "--model", "small", "--base-url", chat_server.url, "--names-from", "model")
    ended = cotpd(*arguments)
    assert (ended.code, ended.err) == (0, "")
    assert "8 variants, 1 rejected (1 entity: not possible); 12 asked, 0 reused" in ended.out
    first = (data / "augmented.jsonl").read_bytes()
    again = json.loads(cotpd(*arguments, "--json").out)
    assert (again["num_asked"], again["num_reused"], again["kept"], len(chat_server.questions)) == (0, 12, 8, 12)
    assert (data / "augmented.jsonl").read_bytes() == first
    corpus = Corpus.from_path(data)
    assert len(corpus.augmented) == 8
    assert corpus.augmented[0].text == "well Kerr sings inKerr today again"
    [rejection] = [json.loads(line) for line in (data / "augmented.rejections.jsonl").read_text("utf-8").splitlines()]
    assert rejection == {
        "id": "train2+entity1",
        "parent": "train2",
        "kind": "entity",
        "reason": "not possible",
        "answer": "Zidane sings inAdele today",
    }


def test_variants_of_other_runs_stay(data: Path, chat_server: Any, cotpd: Cotpd) -> None:
    """A short trial must not remove the work of days. A new run replaces variants of the same post and kind."""
    chat_server.script = reply
    arguments = ("augment", data, "--base-url", chat_server.url, "--names-from", "model")
    assert cotpd(*arguments, "--model", "small").code == 0
    rejected = (data / "augmented.rejections.jsonl").read_bytes()
    assert cotpd(*arguments, "--model", "large", "--kind", "style", "--limit", 1).code == 0
    made = {post.id: post.origin.model for post in Corpus.from_path(data).augmented if post.origin}
    assert [name for name, model in made.items() if model == "large"] == ["train0+style1"]
    assert (len(made), (data / "augmented.rejections.jsonl").read_bytes()) == (8, rejected)
    chat_server.script = lambda number, question: "I'm sorry."
    assert cotpd(*arguments, "--model", "none", "--kind", "style", "--limit", 1).code == 3
    assert {post.id for post in Corpus.from_path(data).augmented} == made.keys() - {"train0+style1"}


@pytest.mark.parametrize("text", [None, '[{"id": 1}]', "by hand\n"])
def test_a_file_with_other_rows_is_never_overwritten(
    text: str | None, data: Path, chat_server: Any, cotpd: Cotpd
) -> None:
    """For example the posts themselves."""
    out = data / "train.jsonl" if text is None else data / "mine.jsonl"
    out.write_text(out.read_text("utf-8") if text is None else text, encoding="utf-8")
    before = out.read_bytes()
    ended = cotpd("augment", data, "--model", "small", "--base-url", chat_server.url, "--out", out)
    assert (ended.code, out.read_bytes(), chat_server.questions) == (2 if text is None else 5, before, [])
    assert str(out) in ended.err


def test_no_question_contains_dev_or_test_posts(data: Path, chat_server: Any, cotpd: Cotpd) -> None:
    chat_server.script = reply
    assert cotpd("augment", data, "--model", "small", "--base-url", chat_server.url).code == 0
    asked = "".join(question["messages"][-1]["content"] for question in chat_server.questions)
    assert "Kerr" in asked
    assert "Obama" not in asked
    assert "Pele" not in asked


def test_a_dry_run_asks_nothing(data: Path, chat_server: Any, cotpd: Cotpd) -> None:
    arguments = ("augment", data, "--model", "small", "--base-url", chat_server.url, "--names-from", "model")
    ended = cotpd(*arguments, "--per-post", 2, "--dry-run", "--price", "1,1")
    assert (ended.code, chat_server.questions) == (0, [])
    assert "18 variants of 3 posts" in ended.out
    assert "calls: 18" in ended.out
    assert "price, at most: 0.01" in ended.out
    assert "the price includes up to 6 more calls" in ended.out
    for kind in ("style", "entity", "image"):
        assert f"── {kind}\n" in ended.out
    assert not list(data.glob("augmented*")) + list(data.glob("requests*"))


def test_the_price_includes_both_rounds_of_questions(data: Path, chat_server: Any, cotpd: Cotpd) -> None:
    """With names from the corpus, only the second round asks questions."""
    chat_server.script = reply
    arguments = ("augment", data, "--model", "small", "--base-url", chat_server.url, "--kind", "entity")
    arguments += ("--names-from", "corpus", "--price", "1000,1000")
    plan = cotpd(*arguments, "--dry-run").out
    assert "calls: 0\n" in plan
    assert ", 24 completion" in plan
    assert "up to 3 more calls" in plan
    most = float(plan.partition("price, at most: ")[2].split()[0].replace(",", ""))
    assert 0 < json.loads(cotpd(*arguments, "--json").out)["cost"] <= most


def test_a_dry_run_after_an_interruption_counts_open_questions(data: Path, chat_server: Any, cotpd: Cotpd) -> None:
    chat_server.script = reply
    arguments = ("augment", data, "--model", "small", "--base-url", chat_server.url, "--names-from", "model")
    assert cotpd(*arguments, "--max-requests", 4, "--concurrency", 1).code == 4
    assert "calls: 5\n" in cotpd(*arguments, "--dry-run").out


def test_too_many_rejected_variants_end_with_exit_code_3(data: Path, chat_server: Any, cotpd: Cotpd) -> None:
    chat_server.script = lambda number, question: "I'm sorry."
    ended = cotpd("augment", data, "--model", "small", "--base-url", chat_server.url, "--kind", "style")
    assert ended.code == 3
    assert "100.0% of the variants were rejected or have no answer, more than 75.0%" in ended.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--model", "small"], 2, "needs an endpoint; give --base-url URL"),
        (["--model", "nowhere/small.gguf"], 6, "no such model file"),
        (["--model", "small", "--kind", "colour"], 2, "colour"),
        (["--model", "small", "--price", "1"], 2, "--price must be two numbers such as 0.15,0.60, got '1'"),
        (["--model", "small", "--price", "1,-1"], 2, "--price must not be negative"),
    ],
)
def test_a_wrong_option_is_one_line_on_stderr(
    arguments: list[str], code: int, message: str, data: Path, cotpd: Cotpd
) -> None:
    ended = cotpd("augment", data, *arguments)
    assert (ended.code, ended.err.count("\n")) == (code, 1)
    assert message in ended.err


def test_a_corpus_without_training_posts_is_an_error(data: Path, cotpd: Cotpd) -> None:
    ended = cotpd("augment", data / "dev.jsonl", "--model", "small")
    assert ended.code == 5
    assert "the corpus has no training posts" in ended.err
