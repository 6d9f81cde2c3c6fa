"""Nested settings with overrides, as written in plans."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cotpd.core.toml import LABEL_TABLES


def merge_settings(settings: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings with the overrides applied.

    The dotted key ``"a.b" = c`` means the same as a table ``[a]`` with ``b = c``. Tables of labels, such as
    ``label_map``, are values: their keys may contain dots, and a whole table replaces the previous one.
    """
    result = dict(settings)
    for key, value in overrides.items():
        name, dot, rest = key.partition(".")
        override = {rest: value} if dot else value
        previous = result.get(name, {})
        if isinstance(override, dict) and isinstance(previous, dict):
            label_table = {**previous, **override} if dot else override
            result[name] = label_table if name in LABEL_TABLES else merge_settings(previous, override)
        else:
            result[name] = override
    return result
