"""The wheel contains only the package, and runs in an environment without the source tree."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

import cotpd

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder, cwd=root)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh virtual environment with the wheel. It uses the installed dependencies, so nothing is downloaded."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, symlinks=True)
    run(sys.executable, "-m", "pip", "--python", folder, "install", "--quiet", "--no-deps", "--no-index", wheel)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return folder


def run(*command: object, cwd: Path | None = None) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ended = subprocess.run([*map(str, command)], cwd=cwd, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_the_wheel_contains_only_the_package(wheel: Path, root: Path) -> None:
    """Including the templates, the sample corpus and py.typed."""
    source = root / "src"
    expected = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()}
    names = zipfile.ZipFile(wheel).namelist()
    packed = {name for name in names if ".dist-info/" not in name}
    assert packed == {name for name in expected if "__pycache__" not in name and ".egg-info" not in name}
    assert {"cotpd/py.typed", "cotpd/sample/train.jsonl", "cotpd/knowledge/templates/noun.v1.txt"} <= packed
    assert sum("/licenses/" in name for name in names) == 2


def test_the_installed_command_prints_its_version(installed: Path, tmp_path: Path) -> None:
    assert run(installed / "bin" / "cotpd", "--version", cwd=tmp_path) == f"cotpd {cotpd.__version__}\n"


def test_the_installed_package_is_imported(installed: Path, tmp_path: Path) -> None:
    """Otherwise the other tests here would run the editable install of the developer."""
    place = run(installed / "bin" / "python", "-c", "import cotpd; print(cotpd.__file__)", cwd=tmp_path)
    assert Path(place.strip()).is_relative_to(installed)


def test_the_installed_sample_passes_the_check(installed: Path, tmp_path: Path) -> None:
    (sample,) = installed.glob("lib/python*/site-packages/cotpd/sample")
    run(installed / "bin" / "cotpd", "check", sample, cwd=tmp_path)
