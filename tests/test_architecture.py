"""The shape of the source: what no linter of ours says. Each rule stands in CONTRIBUTING.md."""

from __future__ import annotations

import ast
import re
import statistics
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "cotpd"
SOURCES = sorted(PACKAGE.rglob("*.py"))
FOLDERS = ("src", "tests", "docs", "configs", "examples", "benchmarks", ".ci")
TEXTS = {".py", ".md", ".toml", ".cff", ".txt", ".json", ".jsonl", ".sh", ""}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(path: Path) -> Iterator[tuple[str, Function]]:
    """Each function of a file with its place."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, Function):
            yield f"{name_of(path)}:{node.lineno} {node.name}", node


def body_length(function: Function) -> int:
    """Lines of a function without its signature and docstring."""
    documented = ast.get_docstring(function) is not None and len(function.body) > 1
    return (function.end_lineno or 0) - function.body[1 if documented else 0].lineno + 1


def test_functions_do_one_thing() -> None:
    lengths = {place: body_length(function) for path in SOURCES for place, function in functions(path)}
    assert len(lengths) > 50, "no source was found"
    assert [place for place, length in lengths.items() if length > 60] == []
    assert statistics.median(lengths.values()) <= 10
    assert statistics.quantiles(lengths.values(), n=10)[-1] <= 30


def test_files_are_read_in_one_sitting() -> None:
    assert [name_of(path) for path in SOURCES if len(path.read_text(encoding="utf-8").splitlines()) > 400] == []


def test_files_are_named_for_what_they_hold() -> None:
    vague = {"utils", "helpers", "common", "base", "misc", "tools"}
    assert [name_of(path) for path in SOURCES if path.stem in vague or path.parent.name in vague] == []


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_nothing_runs_what_it_reads_and_nothing_is_swallowed(path: Path) -> None:
    """Fault 35: a model directory or a corpus must never become code; a caught exception is a named one."""
    assert [found for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) for found in dangers(node)] == []


def dangers(node: ast.AST) -> Iterator[str]:
    """What a node does that the package never may."""
    match node:
        case ast.Call(func=ast.Name(id="eval" | "exec" as name)):
            yield f"{node.lineno}: {name}()"
        case ast.Attribute(value=ast.Name(id="torch" | "yaml" | "numpy" | "np" as module), attr="load"):
            yield f"{node.lineno}: {module}.load"
        case ast.keyword(arg="trust_remote_code"):
            yield f"{node.value.lineno}: trust_remote_code"
        case ast.Import(names=names) if any(name.name in SERIALISERS for name in names):
            yield f"{node.lineno}: import of a serialiser that runs code"
        case ast.ImportFrom(module=module) if module in SERIALISERS:
            yield f"{node.lineno}: import of a serialiser that runs code"
        case ast.ExceptHandler(type=None | ast.Name(id="Exception" | "BaseException")):
            yield f"{node.lineno}: except of everything"


SERIALISERS = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}


@pytest.mark.parametrize(
    "source",
    [
        "eval('1')",
        "torch.load(path)",
        "f(trust_remote_code=True)",
        "import pickle",
        "from pickle import loads",
        "try: f()\nexcept Exception: pass",
        "try: f()\nexcept: pass",
    ],
)
def test_the_search_for_dangers_finds_them(source: str) -> None:
    assert [found for node in ast.walk(ast.parse(source)) for found in dangers(node)]


def test_no_module_imports_itself_through_others() -> None:
    graph = grimp.build_graph("cotpd", exclude_type_checking_imports=True, cache_dir=None)
    assert len(graph.modules) == len(SOURCES)
    TopologicalSorter({m: graph.find_modules_directly_imported_by(m) for m in graph.modules}).prepare()


def test_the_tests_mirror_the_package() -> None:
    folders = [path for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name != "__pycache__"]
    assert [path.name for path in folders if not (PACKAGE / path.name).is_dir()] == []


def test_no_file_names_a_place_of_one_machine() -> None:
    private = re.compile("/(?:" + "|".join(("work", "home", "root", "opt", "Users")) + ")/")
    paths = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")] + list(ROOT.iterdir())
    texts = [path for path in paths if path.is_file() and path.suffix in TEXTS and path.name != ".git"]
    assert len(texts) > len(SOURCES)
    assert [name_of(path) for path in texts if private.search(path.read_text(encoding="utf-8"))] == []
