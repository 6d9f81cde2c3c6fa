"""`cotpd extract`: texts from arguments, files and pipes, and answers as JSON or as marked text.

What is extracted from rows is tested in tests/inference/rows.
"""

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
Stdin = Callable[[bytes], None]
TEXTS = ["Messi lifts the cup in Lusail", "it's #Glastonbury 👩\u200d🚀!!", ""]


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Stdin:
    """Put bytes on standard input."""
    return lambda data: monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="ascii"))


def rows(outcome: Any) -> list[dict[str, Any]]:
    return [rounded(json.loads(line)) for line in outcome.out.splitlines()]


def expected(run: Path, texts: list[str]) -> list[dict[str, Any]]:
    return [rounded(extraction.to_dict()) for extraction in Extractor.from_pretrained(run, device="cpu")(texts)]


def rounded(row: dict[str, Any]) -> dict[str, Any]:
    """Scores as exact as sums in another order allow."""
    return row | {"entities": [each | {"score": round(each["score"], 4)} for each in row["entities"]]}


def test_texts_lines_and_files_give_the_same(finished_run: Path, tmp_path: Path, cotpd: Cotpd, stdin: Stdin) -> None:
    wanted = expected(finished_run, TEXTS)
    assert any(row["entities"] for row in wanted)
    outcome = cotpd("extract", finished_run, *TEXTS)
    assert (outcome.code, outcome.err, rows(outcome)) == (0, "", wanted)
    for arguments in ([], ["-"]):
        stdin("\r\n".join(TEXTS).encode() + b"\n")
        assert rows(cotpd("extract", finished_run, *arguments)) == wanted
    (tmp_path / "posts.txt").write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    assert rows(cotpd("extract", finished_run, "--file", tmp_path / "posts.txt")) == wanted


def test_fields_of_json_lines_pass_through(finished_run: Path, tmp_path: Path, cotpd: Cotpd) -> None:
    posts = [{"id": 7, "text": TEXTS[0], "entities": ["gold"]}, {"id": 8, "words": TEXTS[0].split()}]
    (tmp_path / "posts.jsonl").write_text("\n".join(map(json.dumps, posts)), encoding="utf-8")
    [found] = expected(finished_run, TEXTS[:1])
    outcome = cotpd("extract", finished_run, "--file", tmp_path / "posts.jsonl")
    assert rows(outcome) == [{"id": 7, **found}, {"id": 8, "words": TEXTS[0].split(), **found}]


def test_a_defective_row_ends_the_command_after_the_answers_before_it(
    finished_run: Path, tmp_path: Path, cotpd: Cotpd, stdin: Stdin
) -> None:
    (tmp_path / "posts.jsonl").write_text('{"text": "ok"}\n[1]\n')
    stdin(b"ok\n\xff\n")
    for arguments, message in ((["--file", tmp_path / "posts.jsonl"], "posts.jsonl:2: "), (["-"], "<stdin>:2: ")):
        outcome = cotpd("extract", finished_run, *arguments)
        assert (outcome.code, [row["text"] for row in rows(outcome)]) == (5, ["ok"])
        assert message in outcome.err


def test_with_batches_of_one_a_pipe_is_answered_line_by_line(
    finished_run: Path, cotpd: Cotpd, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered: list[str] = []

    def lines() -> Iterator[bytes]:
        for number, text in enumerate(TEXTS):
            assert len(answered) == number
            yield f"{text}\n".encode()

    monkeypatch.setattr(typer, "echo", lambda line, **_: answered.append(line))
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=lines()))
    assert cotpd("extract", finished_run, "--batch-size", "1").code == 0
    assert [json.loads(line)["text"] for line in answered] == TEXTS


def test_a_lone_surrogate_is_escaped(finished_run: Path, tmp_path: Path, cotpd: Cotpd) -> None:
    """UTF-8 cannot hold a lone surrogate, so printing one would end the command."""
    (tmp_path / "posts.jsonl").write_text('{"text": "half \\ud83d of it"}\n')
    outcome = cotpd("extract", finished_run, "--file", tmp_path / "posts.jsonl")
    assert outcome.code == 0
    assert "\\ud83d" in outcome.out
    assert rows(outcome)[0]["text"] == "half \ud83d of it"


def test_marked_text_prints_markup_and_control_characters_harmlessly(finished_run: Path, cotpd: Cotpd) -> None:
    shown = cotpd("extract", finished_run, "--human", "[bold]Messi[/bold] \x1b[31m\u202e of Lusail [link=x]").out
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert all(word in shown for word in ("bold", "Messi", "link"))
    mentions = Extractor.from_pretrained(finished_run, device="cpu")(TEXTS[0]).entities
    marks = [f"[{mention.word} {mention.entity_group} {mention.score:.2f}]" for mention in mentions]
    assert marks
    assert all(mark in cotpd("extract", finished_run, "--human", TEXTS[0]).out for mark in marks)


def test_relations_are_extracted_from_marked_rows_and_with_another_run(
    relation_run: Path, finished_run: Path, tmp_path: Path, cotpd: Cotpd
) -> None:
    row = {"id": 1, "text": "\x1b[31mAnna joins Ajax", "head": {"start": 5, "end": 9}, "tail": {"start": 16, "end": 20}}
    (tmp_path / "marked.jsonl").write_text(json.dumps(row), encoding="utf-8")
    [answer] = map(json.loads, cotpd("extract", relation_run, "--file", tmp_path / "marked.jsonl").out.splitlines())
    assert (answer["id"], answer["relations"][0]["head"]["word"]) == (1, "Anna")
    shown = cotpd("extract", relation_run, "--human", "--file", tmp_path / "marked.jsonl").out
    assert "Anna → Ajax" in shown
    assert "\x1b" not in shown
    outcome = cotpd("extract", relation_run, "--entities-from", finished_run, "--unrelated", TEXTS[0])
    [found] = map(json.loads, outcome.out.splitlines())
    assert len(found["relations"]) == len(found["entities"]) * (len(found["entities"]) - 1) > 1
    assert (
        "→" in cotpd("extract", relation_run, "--entities-from", finished_run, "--unrelated", "--human", TEXTS[0]).out
    )


def test_every_wrong_call_ends_with_the_exit_code_of_its_kind(
    finished_run: Path, relation_run: Path, tmp_path: Path, cotpd: Cotpd
) -> None:
    (tmp_path / "posts.txt").write_text("a\n")
    for code, message, arguments in (
        (2, "texts and --file exclude each other", (finished_run, "text", "--file", tmp_path / "posts.txt")),
        (2, "batch-size", (finished_run, "--batch-size", "0", "text")),
        (1, "no model here", (tmp_path, "text")),
        (5, "cannot read the file", (finished_run, "--file", tmp_path / "none.txt")),
        (2, "add --entities-from RUN", (relation_run, "text")),
        (2, "add --entities-from RUN", (relation_run, "--file", tmp_path / "posts.txt")),
        (2, "was trained on entities", (finished_run, "--entities-from", finished_run, "text")),
        (2, "trained on relations", (relation_run, "--entities-from", relation_run, "text")),
    ):
        outcome = cotpd("extract", *arguments)
        assert (outcome.code, outcome.out) == (code, ""), arguments
        assert message in outcome.err


def test_a_closed_stdin_is_a_usage_error(finished_run: Path, cotpd: Cotpd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    for verb in (("extract", finished_run), ("convert", "-", "out.jsonl", "--from", "jsonl")):
        outcome = cotpd(*verb)
        assert (outcome.code, outcome.out) == (2, "")
        assert "stdin is closed" in outcome.err
