"""Text of users never reaches a terminal with control characters, in any verb."""

from __future__ import annotations

import ast
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cotpd
from cotpd.cli.display import terminal

EVIL = "\x1b]0;title\x07\x1b[31m\x9b2J\u202e"
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Write a corpus whose type, relation, sentiment, ids, captioner and model contain escape sequences."""
    path = tmp_path / "corpus"
    path.mkdir()
    span = {"start": 0, "end": 1, "label": f"T{EVIL}"}
    relation = {"head": [0, 1], "tail": [1, 2], "label": f"R{EVIL}"}
    row = {"words": ["Mia", EVIL], "image": EVIL, "entities": [span], "relations": [relation], "sentiments": [span]}
    rows = [{**row, "id": EVIL, "split": EVIL}, {**row, "id": EVIL, EVIL: 1}, {**row, "id": "show me"}]
    (path / "train.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    (path / f"x{EVIL.replace('/', '')}.jsonl").write_text("{}\n")
    captions = [{"image_id": EVIL, "captioner": name, "text": EVIL} for name in (EVIL, f"2{EVIL}")]
    (path / "captions.jsonl").write_text("".join(json.dumps(each) + "\n" for each in captions))
    answer = {"image_id": EVIL, "grain": "noun", "model": EVIL, "template": EVIL, "text": EVIL}
    (path / "knowledge.jsonl").write_text(json.dumps(answer) + "\n")
    return path


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "{}"),
        ("check", "{}", "--json"),
        ("check", "{}", "--answers"),
        ("convert", "{}", "{}-out", "--to", "mnre"),
        ("convert", "{}", "{}-out", "--to", "jsonl", "--json"),
        ("convert", "{}/train.jsonl", "{}.txt"),
        ("show", "{}", "show me"),
        ("show", "{}", "show me", "--json"),
        ("evaluate", f"no run {EVIL}", "{}"),
        ("diagnose", f"no run {EVIL}", "{}"),
        ("study", f"no plan {EVIL}"),
        ("store", f"no store {EVIL}"),
        (EVIL,),
    ],
)
def test_no_verb_prints_control_characters(arguments: tuple[str, ...], corpus: Path, cotpd: Callable[..., Any]) -> None:
    done = cotpd(*(each.replace("{}", str(corpus)) for each in arguments))
    assert CONTROL.findall(done.out + done.err) == []
    assert done.out + done.err


def test_escaped_json_stands_for_the_same_value(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"text": f"a{EVIL}\n\ud83d é"}
    terminal.echo_json(json.dumps(value, ensure_ascii=False))
    printed = capsys.readouterr().out
    assert (json.loads(printed), CONTROL.findall(printed)) == (value, [])


def test_data_is_changed_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for is_terminal, expected in ((True, "a\ufffd\n".encode()), (False, b"a\x1b\n")):
        stream = io.TextIOWrapper(io.BytesIO())
        monkeypatch.setattr(stream, "isatty", lambda is_terminal=is_terminal: is_terminal, raising=False)
        monkeypatch.setattr("sys.stdout", stream)
        terminal.write_data(b"a\x1b\n")
        assert stream.buffer.getvalue() == expected  # type: ignore[attr-defined]


def test_only_one_module_prints() -> None:
    """Printing elsewhere would bypass the replacement of control characters. The help text is our own."""
    sources = sorted((Path(cotpd.__file__).parent / "cli").rglob("*.py"))
    found = [
        f"{path.name}: {ast.unparse(node)}"
        for path in sources
        if path.name != "terminal.py"
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "typer.echo", "sys.stdout.write")
    ]
    assert len(sources) > 20
    assert found == ["app.py: typer.echo(context.get_help())"]
