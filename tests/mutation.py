"""Mutation testing: change one operator, number or statement at a time, and run the tests that must notice.

`make mutation` runs every mutant of the modules in `TARGETS`; `docs/research/mutation-testing.md` explains the
survivors. Each mutant runs in a forked child, so that torch is imported once. A mutant that exceeds the time limit
counts as detected.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

_SCORES = ["evaluation/test_evaluator.py", "evaluation/test_scores.py", "evaluation/test_pairs_of_one_post.py"]
_SCORES += ["evaluation/test_report.py", "evaluation/test_cooccurrence.py"]
TARGETS = {
    "evaluation/scores.py": _SCORES,
    "evaluation/matching.py": _SCORES,
    "llm/store/request_store.py": ["llm/store"],
    "student/crf/linear_chain.py": ["student/crf"],
    "student/crf/log_space.py": ["student/crf"],
    "student/crf/scaled_space.py": ["student/crf"],
}
"""The mutated modules of the package and the tests of each."""

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of a module. ``index`` is the number of the changed node in the order of `mutable_nodes`."""

    line: int
    change: str
    index: int
    apply: Callable[[ast.AST], ast.AST | None]


def mutable_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that run, parents first: no annotations, no docstrings, no assignments to ``__all__``."""
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield child
                yield from mutable_nodes(child)


def mutants(tree: ast.AST) -> Iterator[Mutant]:
    """Yield every mutant of a module."""
    for index, node in enumerate(mutable_nodes(tree)):
        for change, apply in _changes(node):
            yield Mutant(getattr(node, "lineno", 0), f"{change}: {ast.unparse(node)[:90]}", index, apply)


def _changes(node: ast.AST) -> Iterator[tuple[str, Callable[[ast.AST], ast.AST | None]]]:
    match node:
        case ast.Compare(ops=[operator]) if type(operator) in _COMPARISONS:
            yield f"{type(operator).__name__} to {_COMPARISONS[type(operator)].__name__}", _swap_comparison
        case ast.BinOp(op=operator) if type(operator) in _OPERATORS:
            yield f"{type(operator).__name__} to {_OPERATORS[type(operator)].__name__}", _swap_operator
        case ast.AugAssign(op=operator) if type(operator) in _OPERATORS:
            yield f"{type(operator).__name__} to {_OPERATORS[type(operator)].__name__}", _swap_assignment
        case ast.Constant(value=bool()):
            yield "flip", lambda n: ast.Constant(not n.value)  # type: ignore[attr-defined]
        case ast.Constant(value=int() | float()):
            yield "+1", lambda n: ast.Constant(n.value + 1)  # type: ignore[attr-defined]
        case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.Invert()):
            yield "drop the sign", lambda n: n.operand  # type: ignore[attr-defined]
        case ast.BoolOp():
            yield "and/or", _swap_boolean
        case ast.If() | ast.IfExp() | ast.While():
            yield "negate the condition", _negate
        case ast.Raise() | ast.Expr(value=ast.Call() | ast.Await()):
            yield "delete", lambda n: ast.Pass()


def _swap_comparison(node: ast.AST) -> ast.AST:
    assert isinstance(node, ast.Compare)
    return ast.Compare(node.left, [_COMPARISONS[type(node.ops[0])]()], node.comparators)


def _swap_operator(node: ast.AST) -> ast.AST:
    assert isinstance(node, ast.BinOp)
    return ast.BinOp(node.left, _OPERATORS[type(node.op)](), node.right)


def _swap_assignment(node: ast.AST) -> ast.AST:
    assert isinstance(node, ast.AugAssign)
    return ast.AugAssign(node.target, _OPERATORS[type(node.op)](), node.value)


def _swap_boolean(node: ast.AST) -> ast.AST:
    assert isinstance(node, ast.BoolOp)
    return ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)


def _negate(node: ast.AST) -> ast.AST:
    assert isinstance(node, ast.If | ast.IfExp | ast.While)
    changed = copy.copy(node)
    changed.test = ast.UnaryOp(ast.Not(), node.test)
    return changed


def mutate(tree: ast.AST, mutant: Mutant) -> str:
    """Return the source of a module with one change."""
    changed = copy.deepcopy(tree)
    target = list(mutable_nodes(changed))[mutant.index]
    for parent in [changed, *mutable_nodes(changed)]:
        for name, value in ast.iter_fields(parent):
            if value is target:
                setattr(parent, name, mutant.apply(target))
            elif isinstance(value, list) and any(child is target for child in value):
                setattr(parent, name, [mutant.apply(child) if child is target else child for child in value])
    return ast.unparse(ast.fix_missing_locations(changed))


def outcome(source: Path, tests: list[str], limit: float) -> str:
    """Run the tests of one module in a forked child; return ``killed``, ``survived``, ``timeout`` or ``error``."""
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        _run_tests(source, tests)
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return {0: "survived", 1: "killed"}.get(os.waitstatus_to_exitcode(status), "error")
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "timeout"


def _run_tests(source: Path, tests: list[str]) -> None:
    """Run pytest on a copy of the package in this process, silently, and exit."""
    import pytest

    silent = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(silent, stream)
    sys.path.insert(0, str(source))
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(source / "hypothesis")
    sys.dont_write_bytecode = True
    paths = [str(ROOT / "tests" / name) for name in tests]
    options = [
        "-x",
        "-m",
        "not slow",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(ROOT),
        "-c",
        str(ROOT / "pyproject.toml"),
    ]
    os._exit(int(pytest.main([*options, *paths])))


def main() -> None:
    """Run the mutants of the chosen modules and print the survivors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", choices=[*TARGETS, []], help="default: all")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for the tests of one mutant")
    parser.add_argument("--minutes", type=float, default=60.0, help="stop after this time")
    parser.add_argument("--lines", type=int, nargs=2, default=(0, 10**9), help="only mutants of these lines")
    options = parser.parse_args()
    import torch  # noqa: F401  # once, before the forks
    import typer  # noqa: F401

    end = time.monotonic() + 60 * options.minutes
    for module in options.modules or TARGETS:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder)
            shutil.copytree(ROOT / "src" / "cotpd", source / "cotpd", ignore=shutil.ignore_patterns("__pycache__"))
            _run_module(module, source, options, end)


def _run_module(module: str, source: Path, options: argparse.Namespace, end: float) -> None:
    path = source / "cotpd" / module
    original = path.read_text(encoding="utf-8")
    tree, counts = ast.parse(original), Counter[str]()
    if (first := outcome(source, TARGETS[module], 5 * options.limit)) != "survived":
        sys.exit(f"{module}: the tests fail without a mutation ({first})")
    for mutant in mutants(tree):
        if not options.lines[0] <= mutant.line <= options.lines[1]:
            continue
        if time.monotonic() > end:
            print(f"{module}: stopped by the time limit", flush=True)
            break
        path.write_text(mutate(tree, mutant), encoding="utf-8")
        result = outcome(source, TARGETS[module], options.limit)
        counts[result] += 1
        if result == "survived":
            print(f"{module}:{mutant.line}: survived: {mutant.change}", flush=True)
    path.write_text(original, encoding="utf-8")
    print(f"{module}: {sum(counts.values())} mutants, {dict(counts)}", flush=True)


if __name__ == "__main__":
    main()
