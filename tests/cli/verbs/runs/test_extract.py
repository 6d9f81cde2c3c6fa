"""`cotpd extract`: one line of JSON for each text, wherever it comes from, and the place of whatever is wrong."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer

from cotpd.inference.extractor import Extractor

Cotpd = Callable[..., Any]
TEXTS = ["Messi lifts the cup in Lusail", "it's #Glastonbury 👩\u200d🚀!!", ""]


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    """Put bytes on standard input."""
    return lambda data: monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="ascii"))


def rows(outcome: Any) -> list[dict[str, Any]]:
    return [rounded(json.loads(line)) for line in outcome.out.splitlines()]


def expected(run: Path, texts: list[str]) -> list[dict[str, Any]]:
    return [rounded(extraction.to_dict()) for extraction in Extractor.from_pretrained(run, device="cpu")(texts)]


def rounded(row: dict[str, Any]) -> dict[str, Any]:
    """Scores as exact as sums in another order allow."""
    return row | {"entities": [each | {"score": round(each["score"], 4)} for each in row["entities"]]}


def test_texts_lines_and_files_give_the_same(
    finished_run: Path, tmp_path: Path, cotpd: Cotpd, stdin: Callable[[bytes], None]
) -> None:
    wanted = expected(finished_run, TEXTS)
    assert any(row["entities"] for row in wanted)
    outcome = cotpd("extract", finished_run, *TEXTS)
    assert (outcome.code, outcome.err, rows(outcome)) == (0, "", wanted)
    for arguments in ([], ["-"]):
        stdin("\r\n".join(TEXTS).encode() + b"\n")
        assert rows(cotpd("extract", finished_run, *arguments)) == wanted[:2] + expected(finished_run, [""])
    (tmp_path / "posts.txt").write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    assert rows(cotpd("extract", finished_run, "--file", tmp_path / "posts.txt")) == wanted


def test_fields_of_json_lines_pass_through(finished_run: Path, tmp_path: Path, cotpd: Cotpd) -> None:
    posts = [{"id": 7, "text": TEXTS[0], "entities": ["gold"]}, {"id": 8, "words": TEXTS[0].split()}]
    (tmp_path / "posts.jsonl").write_text("\n\n".join(map(json.dumps, posts)), encoding="utf-8")
    [found] = expected(finished_run, TEXTS[:1])
    assert rows(cotpd("extract", finished_run, "--file", tmp_path / "posts.jsonl")) == [
        {"id": 7, **found},
        {"id": 8, "words": TEXTS[0].split(), **found},
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("posts.jsonl", b'{"text": "ok"}\n{"text": \n', "posts.jsonl:2: not a JSON object"),
        ("posts.jsonl", b'{"text": "ok"}\n[1]\n', "posts.jsonl:2: a JSON object was expected"),
        ("posts.jsonl", b'{"text": "ok"}\n{"words": ["a", 1]}\n', "posts.jsonl:2: `text`, a string, or `words`"),
        ("posts.jsonl", b'{"text": "ok"}\n{"text": 3, "words": ["a"]}\n', "posts.jsonl:2: `text`, a string"),
        ("posts.txt", b"ok\n\xff\n", "posts.txt:2: not UTF-8 at byte 0"),
        ("-", b"ok\n\xff\n", "<stdin>:2: not UTF-8 at byte 0"),
    ],
)
def test_a_bad_line_is_named_and_what_came_before_it_is_answered(
    name: str,
    content: bytes,
    message: str,
    finished_run: Path,
    tmp_path: Path,
    cotpd: Cotpd,
    stdin: Callable[[bytes], None],
) -> None:
    (tmp_path / name).write_bytes(content)
    stdin(content)
    outcome = cotpd("extract", finished_run, *([name] if name == "-" else ["--file", tmp_path / name]))
    assert outcome.code == 5
    assert message in outcome.err
    assert [row["text"] for row in rows(outcome)] == ["ok"]


def test_what_is_wrong_with_a_call_is_said(finished_run: Path, tmp_path: Path, cotpd: Cotpd) -> None:
    (tmp_path / "posts.txt").write_text("a\n")
    assert cotpd("extract", finished_run, "text", "--file", tmp_path / "posts.txt").code == 2
    assert cotpd("extract", finished_run, "--batch-size", "0", "text").code == 2
    assert cotpd("extract", tmp_path, "text").code == 1
    assert cotpd("extract", finished_run, "--file", tmp_path / "none.txt").code == 5
    assert cotpd("extract", finished_run, "--device", "nonsense", "text").code == 6


def test_marked_text_is_for_people_and_obeys_nobody(finished_run: Path, cotpd: Cotpd) -> None:
    """Guards against markup and control characters of a post that would steer the terminal."""
    text = "[bold]Messi[/bold] \x1b[31m\u202e of Lusail [link=x]"
    outcome = cotpd("extract", finished_run, "--human", text)
    shown = outcome.out.rstrip("\n")
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert all(word in shown for word in ("bold", "Messi", "link"))
    mentions = Extractor.from_pretrained(finished_run, device="cpu")(TEXTS[0]).entities
    marks = [f"[{mention.word} {mention.entity_group} {mention.score:.2f}]" for mention in mentions]
    assert marks
    assert all(mark in cotpd("extract", finished_run, "--human", TEXTS[0]).out for mark in marks)


def test_each_line_is_answered_at_once_with_batches_of_one(
    finished_run: Path, cotpd: Cotpd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe that never ends still gets its answers."""
    answered: list[str] = []

    def lines() -> Iterator[bytes]:
        for number, text in enumerate(TEXTS):
            assert len(answered) == number
            yield f"{text}\n".encode()

    monkeypatch.setattr(typer, "echo", lambda line, **_: answered.append(line))
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=lines()))
    assert cotpd("extract", finished_run, "--batch-size", "1").code == 0
    assert [json.loads(line)["text"] for line in answered] == TEXTS


def test_halves_of_characters_are_escaped(finished_run: Path, tmp_path: Path, cotpd: Cotpd) -> None:
    """UTF-8 cannot hold a lone surrogate; printing one would end the command with a bug."""
    (tmp_path / "posts.jsonl").write_text('{"text": "half \\ud83d of it"}\n')
    outcome = cotpd("extract", finished_run, "--file", tmp_path / "posts.jsonl")
    assert outcome.code == 0
    assert "\\ud83d" in outcome.out
    assert rows(outcome)[0]["text"] == "half \ud83d of it"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("IMGID:12", "1: tagged words"),
        ("Messi\tB-PER", "1: tagged words"),
        ("the O", "1: tagged words"),
        ('{"text": "Messi"}', "1: JSON lines, not lines of text; --file"),
        ('{"words": ["Messi"]}', "1: JSON lines, not lines of text; --file"),
    ],
)
@pytest.mark.parametrize("piped", [True, False])
def test_other_formats_are_not_taken_for_texts(
    line: str,
    message: str,
    piped: bool,
    finished_run: Path,
    tmp_path: Path,
    cotpd: Cotpd,
    stdin: Callable[[bytes], None],
) -> None:
    content = f"{line}\nLusail\tB-LOC\n".encode()
    (tmp_path / "train.txt").write_bytes(content)
    stdin(content)
    outcome = cotpd("extract", finished_run, *([] if piped else ["--file", tmp_path / "train.txt"]))
    assert (outcome.code, outcome.out) == (5, "")
    assert ("<stdin>:" if piped else "train.txt:") + message in outcome.err


def test_a_byte_order_mark_is_no_text(finished_run: Path, cotpd: Cotpd, stdin: Callable[[bytes], None]) -> None:
    stdin(f"\ufeff{TEXTS[0]}\n".encode())
    assert rows(cotpd("extract", finished_run)) == expected(finished_run, TEXTS[:1])


@pytest.mark.parametrize("verb", [("extract",), ("convert", "-", "out.jsonl", "--from", "jsonl")])
def test_a_closed_stdin_is_a_wrong_call(
    verb: tuple[str, ...], finished_run: Path, cotpd: Cotpd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    outcome = cotpd(*verb, *([finished_run] if verb == ("extract",) else []))
    assert (outcome.code, outcome.out) == (2, "")
    assert "stdin is closed" in outcome.err
