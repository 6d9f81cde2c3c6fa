"""Answers as JSON values. Reading checks every type and number, because a store from elsewhere may hold anything."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import Any

from pydantic import TypeAdapter

from cotpd.llm.language_model import Answer

MAX_TOKENS = 10**12
"""The largest number of tokens that is believed, far beyond any model."""

_ANSWER = TypeAdapter(Answer)
_COUNTS = tuple(field.name for field in fields(Answer) if "int" in str(field.type))


def answer_from_json(text: str) -> Answer:
    """Return the answer in a JSON object. Raises ValueError if a type or a number is wrong."""
    return answer_of(json.loads(text))


def answer_of(values: Any) -> Answer:
    """Return an answer from the values of a JSON object. Raises ValueError if a type or a number is wrong."""
    check_counts(values)
    if isinstance(values, dict) and (unknown := sorted(values.keys() - {field.name for field in fields(Answer)})):
        raise ValueError(f"unknown key {unknown[0][:60]!a}")
    return _ANSWER.validate_python(values)


def check_counts(values: Any) -> None:
    """Raise ValueError unless the numbers of tokens are whole numbers, or null where they may be unknown."""
    for name in _COUNTS:
        count = values.get(name) if isinstance(values, dict) else None
        if count is not None and not (type(count) is int and 0 <= count <= MAX_TOKENS):
            raise ValueError(f"{name}: expected a whole number from 0 to {MAX_TOKENS:,}, got {str(count)[:40]!a}")


def answer_to_json(answer: Answer | None) -> str | None:
    """Return an answer as JSON text; None for no answer."""
    return json.dumps(asdict(answer)) if answer else None
