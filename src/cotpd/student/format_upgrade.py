"""Upgrades of config.json, so that models of earlier versions load and predict the same."""

from __future__ import annotations

from typing import Any

FORMAT_VERSION = 2
"""1: CoTPD 0.1.0, with the training configuration of the student. 2: with the design of the student only."""

_LABEL_KEYS = {"entities": "types", "relations": "relations"}
_PROMPT_HEADS = 6


def upgrade(values: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a config.json in the current format. Raises KeyError or TypeError if it is incomplete."""
    return _from_version_1(values) if values.get("format_version", 1) < FORMAT_VERSION else values


def _from_version_1(values: dict[str, Any]) -> dict[str, Any]:
    student = values["student"]
    return values | {
        "labels": values[_LABEL_KEYS.get(values["task"], "types")],
        "scheme": student.get("scheme", "BIO"),
        "deployed_view": values["ships"],
        "encoder": student["encoder"],
        "prompt": _prompt_from_version_1(values["prompt"]) if values["prompt"] else None,
    }


def _prompt_from_version_1(prompt: dict[str, Any]) -> dict[str, Any]:
    others = {key: value for key, value in prompt.items() if key != "looks_at"}
    return {"heads": _PROMPT_HEADS, **others, "source": prompt.get("looks_at", "embeddings")}
