"""Reading tables of TOML into pydantic models, with errors that name the file, the key and the likely spelling."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from cotpd.core.errors import UsageError


class Section(BaseModel):
    """A table of a TOML file. Sections are frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


LABEL_TABLES = frozenset({"label_map", "reversed_pairs"})
"""Settings that map labels: a dot in one of their keys is part of the label."""

_SectionT = TypeVar("_SectionT", bound=Section)


def read_toml(path: Path) -> dict[str, Any]:
    """Return the plain values of a TOML file.

    Raises:
        UsageError: If the file cannot be read or is not TOML.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        _check_values(values)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; see the ready-made files in configs/") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not valid TOML: {error}") from error
    return values


def validate(section: type[_SectionT], values: dict[str, Any], *, where: str) -> _SectionT:
    """Validate plain values as a section.

    Args:
        section: The model to build.
        values: Plain values, for example from `read_toml`.
        where: The origin of the values; it opens the error message.

    Raises:
        UsageError: If a key is unknown or a value is invalid. The message lists every such key and suggests a
            spelling for unknown ones.
    """
    try:
        return section.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(_describe(detail, section) for detail in error.errors())
        raise UsageError(f"{where}: {problems}") from error


def apply_changes(values: dict[str, Any], changes: Sequence[str]) -> None:
    """Apply changes such as ``optimisation.epochs=3`` to plain values, in place.

    Raises:
        UsageError: If a change is not of the form ``section.key=value``.
    """
    for change in changes:
        _apply_change(values, change)


def _apply_change(values: dict[str, Any], change: str) -> None:
    name, equals, text = change.partition("=")
    *sections, key = name.strip().split(".")
    if not equals or not key:
        raise UsageError(f"--set {change}: expected section.key=value")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise UsageError(f"--set {change}: {section!r} is a value, not a section")
    values[key] = _parse_value(text.strip())
    try:
        _check_values(values[key])
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--set {name.strip()}: {error}") from error


def _parse_value(text: str) -> Any:
    """Parse JSON or a TOML value; return any other text unchanged."""
    for parse in (json.loads, lambda value: tomllib.loads(f"v = {value}")["v"]):
        try:
            return parse(text)
        except (ValueError, RecursionError):
            continue
    return text


def _check_values(value: Any) -> None:
    """Raise ValueError for integers beyond the 64 bits of TOML, and for text with the character U+0000."""
    if isinstance(value, dict):
        _check_values([*value, *value.values()])
    elif isinstance(value, list):
        for member in value:
            _check_values(member)
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError(f"an integer has at most 64 bits, got one of {value.bit_length()}")
    elif isinstance(value, str) and "\0" in value:
        raise ValueError(f"{value[:40]!a} holds the character U+0000")


def _describe(detail: Any, section: type[Section]) -> str:
    """Describe one validation error of pydantic."""
    location = [str(part) for part in detail["loc"]]
    if location == ["format_version"]:
        return f"format_version is {detail['input']!r}, written by a newer CoTPD; upgrade cotpd"
    if detail["type"] != "extra_forbidden":
        message = detail["msg"].removeprefix("Value error, ")
        return f"{'.'.join(location)}: {message}".removeprefix(": ")
    similar = difflib.get_close_matches(location[-1], _keys_at(section, location[:-1]), n=1)
    return f"unknown key {'.'.join(location)}" + (f"; did you mean {similar[0]}?" if similar else "")


def _keys_at(section: Any, location: Sequence[str]) -> list[str]:
    """Return the keys of the section at a location, descending through the values of dicts and tuples."""
    for part in location:
        if fields := getattr(section, "model_fields", None):
            section = fields[part].annotation
        else:
            section = next((kind for kind in get_args(section)[::-1] if kind is not Ellipsis), section)
    return list(getattr(section, "model_fields", ()))
