"""`cotpd augment`: training posts to variants beside the corpus, each answer paid once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cotpd.core.files import json_line
from cotpd.corpus.corpus import Corpus
from cotpd.llm.store.request_store import RequestStore

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


def test_variants_lie_beside_the_corpus_and_are_paid_once(data: Path, chat_server: Any, cotpd: Cotpd) -> None:
    chat_server.script = reply
    arguments = ("augment", data, "--model", "small", "--base-url", chat_server.url, "--names-from", "model")
    ended = cotpd(*arguments)
    assert (ended.code, ended.err) == (0, "")
    assert "8 variants kept, 1 rejected (1 entity: not possible); 12 asked now" in ended.out
    first = (data / "augmented.jsonl").read_bytes()
    again = json.loads(cotpd(*arguments, "--json").out)
    assert (again["num_asked"], again["kept"], len(chat_server.questions)) == (0, 8, 12)
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


def test_what_a_run_did_not_make_stays(data: Path, chat_server: Any, cotpd: Cotpd) -> None:
    """A short trial would throw away what took days. Of a post and kind the last run counts, whatever its model."""
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
def test_a_file_of_anything_but_variants_is_not_written_over(
    text: str | None, data: Path, chat_server: Any, cotpd: Cotpd
) -> None:
    """The posts themselves for one: they would be lost to as many variants, or to none."""
    out = data / "train.jsonl" if text is None else data / "mine.jsonl"
    out.write_text(out.read_text("utf-8") if text is None else text, encoding="utf-8")
    before = out.read_bytes()
    ended = cotpd("augment", data, "--model", "small", "--base-url", chat_server.url, "--out", out)
    assert (ended.code, out.read_bytes(), chat_server.questions) == (2 if text is None else 5, before, [])
    assert str(out) in ended.err


def test_dev_and_test_posts_reach_no_question(data: Path, chat_server: Any, cotpd: Cotpd) -> None:
    chat_server.script = reply
    assert cotpd("augment", data, "--model", "small", "--base-url", chat_server.url).code == 0
    asked = "".join(question["messages"][-1]["content"] for question in chat_server.questions)
    assert "Kerr" in asked
    assert "Obama" not in asked
    assert "Pele" not in asked


def test_captions_made_while_it_waits_are_carried_on(
    data: Path, chat_server: Any, cotpd: Cotpd, when_waiting: Callable[[Callable[[], None]], None]
) -> None:
    chat_server.script = reply
    holder = RequestStore(data / "requests.sqlite")
    captions = [{"example_id": f"train{n}", "captioner": "we", "text": "a stage"} for n in range(3)]

    def finish() -> None:
        (data / "captions.jsonl").write_text("".join(map(json_line, captions)), encoding="utf-8")
        holder.close()

    when_waiting(finish)
    ended = cotpd("augment", data, "--model", "small", "--base-url", chat_server.url, "--kind", "style", "--wait")
    assert ended.code == 0
    assert [post.caption.text for post in Corpus.from_path(data).augmented if post.caption] == ["a stage"] * 3


def test_a_rehearsal_asks_nothing(data: Path, chat_server: Any, cotpd: Cotpd) -> None:
    arguments = ("augment", data, "--model", "small", "--base-url", chat_server.url, "--names-from", "model")
    ended = cotpd(*arguments, "--per-post", 2, "--dry-run", "--price-in", 1, "--price-out", 1)
    assert (ended.code, chat_server.questions) == (0, [])
    assert "18 variants of 3 posts" in ended.out
    assert "calls: 18" in ended.out
    assert "price, at most: 0.01" in ended.out
    assert "then at most 6 more calls" in ended.out
    for kind in ("style", "entity", "image"):
        assert f"── {kind}\n" in ended.out
    assert not list(data.glob("augmented*")) + list(data.glob("requests*"))


def test_the_price_told_is_that_of_both_rounds_of_questions(data: Path, chat_server: Any, cotpd: Cotpd) -> None:
    """With names of the corpus nothing is asked first; what is asked then costs all there is to pay."""
    chat_server.script = reply
    arguments = ("augment", data, "--model", "small", "--base-url", chat_server.url, "--kind", "entity")
    arguments += ("--names-from", "corpus", "--price-in", 1000, "--price-out", 1000)
    told = cotpd(*arguments, "--dry-run").out
    assert "calls: 0\n" in told
    assert "and 24 to write" in told
    assert "then at most 3 more calls" in told
    most = float(told.partition("price, at most: ")[2].split()[0].replace(",", ""))
    assert 0 < json.loads(cotpd(*arguments, "--json").out)["cost"] <= most


def test_a_rehearsal_after_a_stopped_run_counts_what_is_left(data: Path, chat_server: Any, cotpd: Cotpd) -> None:
    """What is paid for is in the store: told again, its price would keep people from going on."""
    chat_server.script = reply
    arguments = ("augment", data, "--model", "small", "--base-url", chat_server.url, "--names-from", "model")
    assert cotpd(*arguments, "--max-requests", 4, "--concurrency", 1).code == 4
    assert "calls: 5\n" in cotpd(*arguments, "--dry-run").out


def test_too_many_lost_variants_end_with_3(data: Path, chat_server: Any, cotpd: Cotpd) -> None:
    chat_server.script = lambda number, question: "I'm sorry."
    ended = cotpd("augment", data, "--model", "small", "--base-url", chat_server.url, "--kind", "style")
    assert ended.code == 3
    assert "100.0% of the variants were lost, more than 75.0%" in ended.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--model", "small"], 2, "name the endpoint that has it with --base-url"),
        (["--model", "nowhere/small.gguf"], 6, "no such model file"),
        (["--model", "small", "--kind", "colour"], 2, "colour"),
        (["--model", "small", "--price-in", "1"], 2, "both --price-in and --price-out"),
    ],
)
def test_what_is_wrong_is_one_line(arguments: list[str], code: int, message: str, data: Path, cotpd: Cotpd) -> None:
    ended = cotpd("augment", data, *arguments)
    assert (ended.code, ended.err.count("\n")) == (code, 1)
    assert message in ended.err


def test_a_corpus_without_training_posts_has_nothing_to_vary(data: Path, cotpd: Cotpd) -> None:
    ended = cotpd("augment", data / "dev.jsonl", "--model", "small")
    assert ended.code == 5
    assert "only training posts are varied" in ended.err
