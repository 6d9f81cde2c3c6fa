"""The documentation is true: its code and commands run, its links resolve, its generated pages are current.

The documents use Twitter-2017, `minilm`, a model server and a folder of photos. The tests replace them with a few posts
of the sample corpus, a tiny random encoder, a scripted server and small generated images, and train for two epochs.
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

from cotpd.corpus.corpus import Corpus
from cotpd.testing.fake_server import deterministic_reply

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "src" / "cotpd" / "sample"
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
WITH_CODE = ("README.md", "docs/getting-started.md", "docs/guides/asking.md", "docs/guides/relations.md")
WITH_COMMANDS = (*WITH_CODE, "docs/guides/few-labels.md")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SERVER = "http://localhost:8000/v1"
NUM_POSTS = 12


def code_blocks(document: Path, language: str) -> list[str]:
    return [code for name, code in BLOCK.findall(document.read_text(encoding="utf-8")) if name == language]


def commands(document: Path) -> Iterator[list[str]]:
    """Yield each command of the document's shell blocks, split into words."""
    for block in code_blocks(document, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            if words := shlex.split(line, comments=True):
                yield words


def _sample_lines(name: str) -> list[str]:
    return (SAMPLE / name).read_text(encoding="utf-8").splitlines(keepends=True)


def _write_twitter2017(folder: Path) -> None:
    folder.mkdir(parents=True)
    for name in ("train.jsonl", "dev.jsonl", "test.jsonl"):
        (folder / name).write_text("".join(_sample_lines(name)[:NUM_POSTS]), encoding="utf-8")
    shutil.copy(SAMPLE / "captions.jsonl", folder)


def _write_unlabelled(folder: Path) -> None:
    folder.mkdir()
    lines = _sample_lines("train.jsonl")[NUM_POSTS : 2 * NUM_POSTS]
    (folder / "posts.jsonl").write_text("".join(lines), encoding="utf-8")
    shutil.copy(SAMPLE / "captions.jsonl", folder)


def _write_photos(corpus: Path, folder: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    folder.mkdir()
    for examples in Corpus.from_path(corpus).splits.values():
        for example in examples:
            if example.image_id:
                image.new("RGB", (8, 8), (len(example.words), 0, 0)).save(folder / f"{example.image_id}.jpg")


def _write_configs(folder: Path, encoder: Path) -> None:
    folder.mkdir()
    for path in (ROOT / "configs").glob("*.toml"):
        text = path.read_text(encoding="utf-8").replace('"minilm"', f'"{encoder}"')
        (folder / path.name).write_text(re.sub(r"(?m)^epochs = \d+", "epochs = 2", text), encoding="utf-8")


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_encoder: Path, cotpd: Callable[..., Any]) -> None:
    """Change to a directory with the corpora, photos and configurations that the documents use."""
    data = tmp_path / "data"
    _write_twitter2017(data / "twitter2017")
    assert cotpd("convert", str(data / "twitter2017"), str(data / "mnre"), "--to", "mnre").code == 0
    shutil.copytree(data / "twitter2017", data / "mine")
    _write_unlabelled(data / "more")
    _write_photos(data / "mine", tmp_path / "photos")
    _write_configs(tmp_path / "configs", tiny_encoder)
    marked = code_blocks(ROOT / "docs" / "guides" / "relations.md", "json")[0]
    (tmp_path / "marked.jsonl").write_text(marked, encoding="utf-8")
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_CODE)
@pytest.mark.usefixtures("workplace")
def test_python_code_runs(name: str, chat_server: Any, tiny_encoder: Path) -> None:
    code = "".join(code_blocks(ROOT / name, "python"))
    assert code, f"{name} has no Python code"
    chat_server.script = deterministic_reply
    code = code.replace(SERVER, chat_server.url).replace('"minilm"', repr(str(tiny_encoder)))
    exec(compile(code, name, "exec"), {})  # noqa: S102


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_COMMANDS)
@pytest.mark.usefixtures("workplace")
def test_commands_run(name: str, chat_server: Any, tiny_encoder: Path, cotpd: Callable[..., Any]) -> None:
    arguments = [words[1:] for words in commands(ROOT / name) if words[0] == "cotpd"]
    assert arguments, f"{name} has no cotpd command"
    chat_server.script = deterministic_reply
    for words in arguments:
        short = ("--set", f"student.encoder={tiny_encoder}", "--set", "optimisation.epochs=2")
        words += short if words[:2] == ["distill", "sample"] else ()
        result = cotpd(*(_shortened(word, chat_server.url) for word in words))
        assert result.code == 0, f"{words}: {result.err}"


def _shortened(word: str, url: str) -> str:
    """Replace the server's address, and any number of epochs by two."""
    return url if word == SERVER else re.sub(r"^(optimisation\.epochs)=\d+$", r"\1=2", word)


def test_make_targets_and_extras_in_documents_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for document in DOCUMENTS:
        for words in commands(document):
            if words[0] == "make":
                assert {word for word in words[1:] if "=" not in word} <= targets, f"{document}: {words}"
            for names in re.findall(r"(?:cotpd|\.)\[([\w,]+)\]", " ".join(words)):
                assert set(names.split(",")) <= set(extras), f"{document}: {words}"


def test_local_links_resolve_with_their_anchors() -> None:
    broken = [
        f"{document.relative_to(ROOT)}: {link}"
        for document in DOCUMENTS
        for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8"))
        if not link.startswith("https://") and not _resolves(document, link)
    ]
    assert broken == []


def _resolves(document: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = document.parent / name if name else document
    return target.exists() and (not anchor or anchor in _anchors(target))


def _anchors(document: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a document."""
    text = re.sub(r"^```.*?^```$", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_documents_that_code_and_configurations_name_exist() -> None:
    files = [*(ROOT / "src").rglob("*.py"), *(ROOT / "configs").rglob("*.toml"), *(ROOT / "benchmarks").glob("*.py")]
    missing = [
        f"{file.relative_to(ROOT)}: {name}"
        for file in files
        for name in re.findall(r"\bdocs/[\w/-]+\.md\b", file.read_text(encoding="utf-8"))
        if not (ROOT / name).exists()
    ]
    assert missing == []


def test_documents_use_no_removed_configuration_keys() -> None:
    for document in DOCUMENTS:
        if document.name != "CHANGELOG.md":
            text = document.read_text(encoding="utf-8")
            removed = re.findall(r"\bdata\.(?:path|captioner|unlabelled|train_share|label_map)\b|^\[data\b", text, re.M)
            assert removed == [], document.relative_to(ROOT)


def test_no_interval_stands_in_the_same_brackets_as_a_number_of_seeds() -> None:
    """A figure followed by a bare number in brackets cannot be told from the end of an interval."""
    for document in DOCUMENTS:
        assert re.findall(r"\d \[\d+\]", document.read_text(encoding="utf-8")) == [], document.relative_to(ROOT)


def test_every_configuration_key_is_one_row_of_its_table() -> None:
    lines = (ROOT / "docs" / "reference" / "configuration.md").read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) > 40
    assert [row for row in rows if not row.endswith("|")] == []
    assert [after for row, after in pairwise(lines) if row.startswith("|") and after[:1] not in {"|", ""}] == []


def test_reference_pages_are_current() -> None:
    for name, text in runpy.run_path(str(ROOT / "docs" / "reference.py"))["pages"]().items():
        assert (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8") == text, f"{name}: run `make docs`"


def test_python_reference_lists_every_public_name() -> None:
    import cotpd

    headings = re.findall(r"^## `(\w+)`$", (ROOT / "docs/reference/python-api.md").read_text("utf-8"), re.MULTILINE)
    assert headings == cotpd.__all__


def test_exit_codes_of_all_errors_are_documented() -> None:
    from cotpd.core import errors

    page = (ROOT / "docs" / "reference" / "exit-codes.md").read_text(encoding="utf-8")
    for error in [errors.CotpdError, *errors.CotpdError.__subclasses__()]:
        rows = [line for line in page.splitlines() if line.startswith(f"| {error.exit_code} |")]
        assert any(f"`{error.__name__}`" in row for row in rows), error.__name__


def test_page_of_knowledge_examples_is_current() -> None:
    program = runpy.run_path(str(ROOT / "docs" / "knowledge_examples.py"))
    assert program["PAGE"].read_text(encoding="utf-8") == program["page"](), "run `make docs`"


def test_requirements_file_and_extra_pin_the_same_weights() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert f"{extras['offline'][0]} --hash=sha256:" in (ROOT / "requirements-offline.txt").read_text(encoding="utf-8")
