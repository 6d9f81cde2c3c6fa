"""CoTPD: learn from images and a language model's knowledge, extract entities and relations from text alone.

The public names are listed below and imported on first use, so that ``import cotpd`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cotpd.core.errors import CotpdError
    from cotpd.core.records import Caption, Entity, Example, Grain, Knowledge, Prediction, Relation, Span

__version__ = "0.1.0"

__all__ = [
    "Caption",
    "CotpdError",
    "Entity",
    "Example",
    "Grain",
    "Knowledge",
    "Prediction",
    "Relation",
    "Span",
]

_RECORDS = "cotpd.core.records"
_HOMES = {
    "Caption": _RECORDS,
    "CotpdError": "cotpd.core.errors",
    "Entity": _RECORDS,
    "Example": _RECORDS,
    "Grain": _RECORDS,
    "Knowledge": _RECORDS,
    "Prediction": _RECORDS,
    "Relation": _RECORDS,
    "Span": _RECORDS,
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'cotpd' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
