"""Rules for the source code that no linter checks; CONTRIBUTING.md explains each rule."""

from __future__ import annotations

import ast
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "cotpd"
SOURCES = sorted(PACKAGE.rglob("*.py"))
FOLDERS = ("src", "tests", "docs", "configs", "examples", "benchmarks", ".ci")
TEXT_SUFFIXES = {".py", ".md", ".toml", ".cff", ".txt", ".json", ".jsonl", ".sh", ""}
MAX_FILES_PER_FOLDER = 13
MAX_LINES_PER_FILE = 400

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """Return the syntax nodes of a source file."""
    return tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def body_length(function: Function) -> int:
    """Count the lines of a function without its signature and docstring."""
    is_documented = ast.get_docstring(function) is not None and len(function.body) > 1
    return (function.end_lineno or 0) - function.body[1 if is_documented else 0].lineno + 1


def test_functions_are_short() -> None:
    lengths = {
        f"{name_of(path)}:{node.lineno} {node.name}": body_length(node)
        for path in SOURCES
        for node in nodes(path)
        if isinstance(node, Function)
    }
    assert len(lengths) > 50, "the search found no source code"
    assert [place for place, length in lengths.items() if length > 60] == []
    assert statistics.median(lengths.values()) <= 10
    assert statistics.quantiles(lengths.values(), n=10)[-1] <= 30


def test_files_are_short() -> None:
    lengths = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert {name: length for name, length in lengths.items() if length > MAX_LINES_PER_FILE} == {}


def test_folders_hold_few_files() -> None:
    """Subfolders do not count; ``__init__.py`` does."""
    counts = Counter(
        name_of(path.parent) for path in PACKAGE.rglob("*") if path.is_file() and path.parent.name != "__pycache__"
    )
    assert {folder: count for folder, count in counts.items() if count > MAX_FILES_PER_FOLDER} == {}


def test_files_are_named_after_their_content() -> None:
    vague = {"utils", "helpers", "common", "base", "misc", "tools"}
    assert [name_of(path) for path in SOURCES if path.stem in vague or path.parent.name in vague] == []


def test_class_names_are_unique_in_the_package() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in SOURCES:
        for node in nodes(path):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{name_of(path)}:{node.lineno}")
    assert len(places) > 50, "the search found no classes"
    assert {name: found for name, found in sorted(places.items()) if len(found) > 1} == {}


def test_no_source_file_runs_code_from_data_or_hides_an_exception() -> None:
    """A model directory or a corpus must never be executed, and every caught exception has a specific type."""
    assert [f"{name_of(path)}:{found}" for path in SOURCES for node in nodes(path) for found in violations(node)] == []


SERIALIZERS = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
"""Modules that run code when they read a file."""

UNIX_ONLY = {"fcntl", "resource", "termios", "pwd", "grp"}
"""Modules that Windows lacks; corpora are checked and texts are extracted there, too."""


OWN_LOADERS = {"Extractor", "RelationExtractor", "SentimentExtractor", "TextEncoder", "TrainedStudent"}
"""Classes of this package; every other class that loads a model is one of transformers."""


def trusts_no_code(call: ast.Call) -> bool:
    """Return True if a call says that code of the model is not run: by default, transformers asks on stdin."""
    return any(keyword.arg == "trust_remote_code" and is_false(keyword.value) for keyword in call.keywords)


def is_false(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is False


def violations(node: ast.AST) -> Iterator[str]:
    """Yield the line and the kind of each construct that the package must not contain."""
    match node:
        case ast.Call(func=ast.Name(id="eval" | "exec" as name)):
            yield f"{node.lineno}: {name}()"
        case ast.Attribute(value=ast.Name(id="torch" | "yaml" | "numpy" | "np" as module), attr="load"):
            yield f"{node.lineno}: {module}.load"
        case ast.Call(func=ast.Attribute(attr="resolve"), keywords=[]):
            yield f"{node.lineno}: Path.resolve(), which fails for a loop of links; use real_path"
        case ast.keyword(arg="trust_remote_code", value=value) if not is_false(value):
            yield f"{value.lineno}: trust_remote_code"
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="from_pretrained" | "from_config")):
            if name not in OWN_LOADERS and not trusts_no_code(node):
                yield f"{node.lineno}: {name} without trust_remote_code=False, so that a model could run code"
        case ast.Import(names=names) if any(name.name in SERIALIZERS for name in names):
            yield f"{node.lineno}: import of a serializer that runs code"
        case ast.ImportFrom(module=module) if module in SERIALIZERS:
            yield f"{node.lineno}: import of a serializer that runs code"
        case ast.Module(body=body):
            imports = (each for each in body if isinstance(each, ast.Import))
            if UNIX_ONLY & {name.name for each in imports for name in each.names}:
                yield "imports a module that only Unix has"
        case ast.ExceptHandler(type=None | ast.Name(id="Exception" | "BaseException")):
            yield f"{node.lineno}: except clause for every exception"


@pytest.mark.parametrize(
    "source",
    [
        "eval('1')",
        "torch.load(path)",
        "f(trust_remote_code=True)",
        "import pickle",
        "import fcntl",
        "path.resolve()",
        "AutoModel.from_pretrained(path)",
        "AutoModel.from_config(config)",
        "AutoTokenizer.from_pretrained(path, trust_remote_code=None)",
        "Blip2ForConditionalGeneration.from_pretrained(path, **options)",
        "AutoConfig.from_pretrained(path, trust_remote_code=answer)",
        "from pickle import loads",
        "try: f()\nexcept Exception: pass",
        "try: f()\nexcept: pass",
    ],
)
def test_the_search_finds_each_kind_of_violation(source: str) -> None:
    assert [found for node in ast.walk(ast.parse(source)) for found in violations(node)]


def test_imports_have_no_cycles() -> None:
    graph = grimp.build_graph("cotpd", exclude_type_checking_imports=True, cache_dir=None)
    assert len(graph.modules) == len(SOURCES)
    TopologicalSorter({m: graph.find_modules_directly_imported_by(m) for m in graph.modules}).prepare()


def test_test_folders_mirror_the_package() -> None:
    folders = [path for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name != "__pycache__"]
    assert [path.name for path in folders if not (PACKAGE / path.name).is_dir()] == []


def test_no_file_contains_a_path_of_one_machine() -> None:
    private = re.compile("/(?:" + "|".join(("work", "home", "root", "opt", "Users")) + ")/")
    paths = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")] + list(ROOT.iterdir())
    texts = [path for path in paths if path.is_file() and path.suffix in TEXT_SUFFIXES and path.name != ".git"]
    assert len(texts) > len(SOURCES)
    assert [name_of(path) for path in texts if private.search(path.read_text(encoding="utf-8"))] == []
