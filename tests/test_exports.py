"""The public names are sorted, documented and imported lazily."""

from __future__ import annotations

import subprocess
import sys

import pytest

import cotpd


def test_public_names_are_sorted_and_listed_once() -> None:
    assert cotpd.__all__ == sorted(set(cotpd.__all__))
    assert set(cotpd._HOMES) == set(cotpd.__all__)


def test_every_public_name_has_a_docstring() -> None:
    assert [name for name in cotpd.__all__ if name != "Method" and not getattr(cotpd, name).__doc__] == []


def test_an_unknown_name_raises_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Extractr"):
        cotpd.Extractr  # noqa: B018


def test_importing_the_package_imports_no_module_of_it() -> None:
    program = "import sys, cotpd; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(ended.stdout.split())
    assert "cotpd" in loaded
    assert not {name for name in loaded if name.startswith("cotpd.")}
    assert not loaded & {"numpy", "torch", "pydantic"}
