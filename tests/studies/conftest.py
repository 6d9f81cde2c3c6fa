"""A small plan over a corpus of a few posts of the sample, and what was trained by it."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest

from cotpd.studies.plan.plan import Plan


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of 24 training posts and 10 dev posts of the sample, with captions and knowledge."""
    path, sample = tmp_path_factory.mktemp("data"), Path(str(files("cotpd") / "sample"))
    for split, number in (("train", 24), ("dev", 10), ("test", 10)):
        lines = (sample / f"{split}.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
        (path / f"{split}.jsonl").write_text("".join(lines[:number]), encoding="utf-8")
    for name in ("captions.jsonl", "knowledge.jsonl"):
        (path / name).write_bytes((sample / name).read_bytes())
    return path


BASE = """
[data]
path = "{data}"
[student]
encoder = "{encoder}"
[prompt]
heads = 2
[optimisation]
epochs = 1
batch_size = 8
precision = "float32"
checkpoint_steps = 1
"""


@pytest.fixture(scope="session")
def write_base(data: Path, tiny_encoder: Path) -> Callable[[Path], Path]:
    """Write base.toml into a directory: the tiny encoder on the small corpus for one epoch."""

    def write(directory: Path) -> Path:
        path = directory / "base.toml"
        path.write_text(BASE.format(data=data, encoder=tiny_encoder), encoding="utf-8")
        return path

    return write


@pytest.fixture
def write_plan(write_base: Callable[[Path], Path], tmp_path: Path) -> Callable[[str], Path]:
    """Write a plan, and its base beside it."""

    def write(text: str) -> Path:
        write_base(tmp_path)
        path = tmp_path / "plan.toml"
        path.write_text('base = "base.toml"\n' + text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def read_plan(write_plan: Callable[[str], Path]) -> Callable[[str], Plan]:
    """A plan from its text without the base."""
    return lambda text: Plan.read(write_plan(text))
