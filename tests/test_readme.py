"""The documents tell the truth: their code runs, their commands run, their links lead somewhere.

Documents speak of Twitter-2017, BERT and a local server. Here a handful of posts of our own, a tiny random encoder and
a scripted server stand in for them, at the same paths and addresses; nothing else of a document is changed.
"""

from __future__ import annotations

import re
import runpy
import shlex
import threading
import tomllib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
LANGUAGE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ANSWER = b"""{"id": "1", "object": "chat.completion", "created": 0, "model": "scripted", "choices": [{"index": 0,
"finish_reason": "stop", "message": {"role": "assistant", "content": "The post is about a thing that happened."}}]}"""


def blocks(document: Path, language: str) -> list[str]:
    return [code for name, code in LANGUAGE.findall(document.read_text(encoding="utf-8")) if name == language]


def commands(document: Path) -> Iterator[list[str]]:
    """The words of each command in the shell blocks of a document."""
    for block in blocks(document, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            if words := shlex.split(line, comments=True):
                yield words


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_encoder: Path) -> Path:
    """A directory with what the documents take for granted: a corpus, the configurations, a text encoder."""
    sample, data, configs = ROOT / "src" / "cotpd" / "sample", tmp_path / "data" / "twitter2017", tmp_path / "configs"
    data.mkdir(parents=True)
    configs.mkdir()
    for name in ("train", "dev", "test"):
        lines = (sample / f"{name}.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
        (data / f"{name}.jsonl").write_text("".join(lines[:12]), encoding="utf-8")
    (data / "captions.jsonl").write_bytes((sample / "captions.jsonl").read_bytes())
    for path in (ROOT / "configs").glob("*.toml"):
        text = path.read_text(encoding="utf-8").replace('"minilm"', f'"{tiny_encoder}"')
        (configs / path.name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def language_model() -> Iterator[str]:
    """The address of a server that gives every question the same answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(ANSWER)))
            self.end_headers()
            self.wfile.write(ANSWER)

        def log_message(self, format: str, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("name", ["README.md", "docs/quickstart.md"])
def test_the_code_runs(name: str, workplace: Path, tiny_encoder: Path, language_model: str) -> None:
    code = "".join(blocks(ROOT / name, "python"))
    assert code, "the document has no code"
    for said, stand_in in [("bert-base-uncased", str(tiny_encoder)), ("http://localhost:8000/v1", language_model)]:
        code = code.replace(said, stand_in)
    exec(compile(code, name, "exec"), {})  # noqa: S102


@pytest.mark.parametrize("name", ["README.md", "docs/quickstart.md"])
def test_the_commands_run(name: str, workplace: Path, cotpd: Callable[..., Any]) -> None:
    said = [words for words in commands(ROOT / name) if words[0] == "cotpd"]
    assert said, "the document has no command"
    for _, *arguments in said:
        ended = cotpd(*arguments)
        assert ended.code == 0, f"{arguments}: {ended.err}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_make_targets_and_extras_exist(document: Path) -> None:
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for words in commands(document):
        if words[0] == "make":
            assert {word for word in words[1:] if "=" not in word} <= set(targets)
        for asked in re.findall(r"cotpd\[([\w,]+)\]", " ".join(words)):
            assert set(asked.split(",")) <= set(extras)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8"))
    local = [link for link in links if not link.startswith("https://")]
    assert [link for link in local if not (document.parent / link).exists()] == []


def test_the_reference_is_up_to_date() -> None:
    for name, text in runpy.run_path(str(ROOT / "docs" / "reference.py"))["pages"]().items():
        assert (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8") == text, "run `make docs`"


def test_the_weights_are_pinned_alike() -> None:
    """The hashed requirement that make installs and the extra that pip users name must be the same package."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert f"{extras['offline'][0]} --hash=sha256:" in (ROOT / "requirements-offline.txt").read_text(encoding="utf-8")
