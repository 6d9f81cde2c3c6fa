"""Mutation testing: change one operator, number or statement at a time, and run the tests that must notice.

`make mutation` runs every mutant of the modules in `TARGETS`; `docs/research/mutation-testing.md` explains the
survivors. Each mutant runs in a forked child, so that torch is imported once, and replaces the code of functions in
memory, so that no file is changed. A mutant that exceeds the time limit counts as detected.
"""

from __future__ import annotations

import argparse
import ast
import copy
import gc
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType

import pytest

ROOT = Path(__file__).resolve().parent.parent

_SCORES = [f"evaluation/test_{name}.py" for name in ("scores", "evaluator", "pairs_of_one_post", "cooccurrence")]
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
    """One change of a module. ``index`` is the number of the changed node in `mutable_nodes`."""

    line: int
    change: str
    index: int
    apply: Callable[[ast.AST], ast.AST | None]


def mutable_nodes(tree: ast.AST) -> list[ast.AST]:
    """Return the nodes inside the bodies of functions, without annotations, parents first."""
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    nodes = [node for function in functions for statement in function.body for node in _running(statement)]
    return list(dict.fromkeys(nodes))


def _running(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for name, value in ast.iter_fields(node):
        if name not in ("annotation", "returns", "decorator_list"):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _running(child)


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


def mutate(tree: ast.AST, mutant: Mutant) -> CodeType:
    """Compile a module with one change."""
    changed = copy.deepcopy(tree)
    target = mutable_nodes(changed)[mutant.index]
    for parent in ast.walk(changed):
        for name, value in ast.iter_fields(parent):
            if value is target:
                setattr(parent, name, mutant.apply(target))
            elif isinstance(value, list) and any(child is target for child in value):
                setattr(parent, name, [mutant.apply(child) if child is target else child for child in value])
    return compile(ast.fix_missing_locations(changed), "mutant", "exec")


def install(code: CodeType, path: Path) -> None:
    """Give the functions of an imported module the code of the mutant, wherever they are referenced."""
    by_name = {each.co_qualname: each for each in _functions_of(code)}
    for function in [each for each in gc.get_objects() if type(each) is FunctionType]:
        if function.__code__.co_filename == str(path) and function.__code__.co_qualname in by_name:
            function.__code__ = by_name[function.__code__.co_qualname]


def _functions_of(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _functions_of(constant)


def outcome(code: CodeType | None, path: Path, tests: list[str], limit: float) -> str:
    """Run the tests of one module in a forked child; return ``killed``, ``survived``, ``timeout`` or ``error``."""
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        if code is not None:
            install(code, path)
        os._exit(_run_pytest(tests, "-x"))
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return {0: "survived", 1: "killed"}.get(os.waitstatus_to_exitcode(status), "error")
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "timeout"


def _run_pytest(tests: list[str], *options: str) -> int:
    """Run pytest silently in this process."""
    with open(os.devnull, "w", encoding="utf-8") as silent, redirect_stdout(silent), redirect_stderr(silent):
        quiet = [
            "-m",
            "not slow",
            "-k",
            "not nervaluate and not installed",
            "-p",
            "no:cacheprovider",
            "-W",
            "ignore::pytest.PytestAssertRewriteWarning",
        ]
        return int(pytest.main([*quiet, *options, *(str(ROOT / "tests" / name) for name in tests)]))


def main() -> None:
    """Run the mutants of the chosen modules and print the survivors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", help="modules of TARGETS; default: all")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for the tests of one mutant")
    parser.add_argument("--minutes", type=float, default=60.0, help="stop a module after this time")
    parser.add_argument("--sample", type=float, default=1.0, help="share of the mutants that are run, drawn at random")
    options = parser.parse_args()
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT / "src"))
    for module in options.modules or TARGETS:
        _run_module(module, options)


def _run_module(module: str, options: argparse.Namespace) -> None:
    path, counts = ROOT / "src" / "cotpd" / module, Counter[str]()
    tree, draw = ast.parse(path.read_text(encoding="utf-8")), random.Random(0)
    _run_pytest(TARGETS[module], "--collect-only")  # imports everything once, before the forks
    if (first := outcome(None, path, TARGETS[module], 5 * options.limit)) != "survived":
        sys.exit(f"{module}: the tests fail without a mutation ({first})")
    end = time.monotonic() + 60 * options.minutes
    for mutant in [each for each in mutants(tree) if draw.random() < options.sample]:
        if time.monotonic() > end:
            print(f"{module}: stopped by the time limit", flush=True)
            break
        result = outcome(mutate(tree, mutant), path, TARGETS[module], options.limit)
        counts[result] += 1
        if result in ("survived", "error"):
            print(f"{module}:{mutant.line}: {result}: {mutant.change}", flush=True)
    print(f"{module}: {sum(counts.values())} mutants, {dict(counts)}", flush=True)


if __name__ == "__main__":
    main()
