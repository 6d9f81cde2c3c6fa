"""Configurations of format version 1 (CoTPD 0.1.0) as version 2: renamed tables and keys that became constants."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from cotpd.core.errors import UsageError
from cotpd.core.methods import infer_method

logger = logging.getLogger(__name__)

_CORPUS_KEYS = ("path", "captioner", "knowledge_model", "label_map", "repair", "normalise_words")
_TRAINING_SET_KEYS = {
    "train_share": "share",
    "left_out": "fold",
    "reversed_pairs": "reversed_pairs",
    "augmentation": "augmentation",
    "corruption": "corruption",
    "corruption_share": "corruption_share",
}

REMOVED: Mapping[tuple[str, str], Any] = {
    ("student", "dropout"): 0.1,
    ("student", "scheme"): "BIO",
    ("augmentation", "cap"): None,
    ("optimisation", "head_learning_rate"): 1e-3,
    ("optimisation", "generator_learning_rate"): 3e-4,
    ("optimisation", "weight_decay"): 0.01,
    ("optimisation", "warmup"): 0.1,
    ("optimisation", "clip"): 1.0,
    ("optimisation", "checkpoint_steps"): 200,
}
"""Keys of version 1 that are constants now, with their values. How often a checkpoint is saved changes no result."""

_FREE = {("optimisation", "checkpoint_steps"), ("prompt", "heads")}
"""Removed keys that may have had any value: they change no result, or only that of training."""


def upgrade(values: dict[str, Any], *, where: str, is_finished: bool = False) -> dict[str, Any]:
    """Return plain values as format version 2; those of version 2 are returned unchanged.

    Args:
        values: Plain values of either version, also a mixture (a new file with ``--set data.path=...``).
        where: The origin of the values, for error messages.
        is_finished: Whether they belong to a finished run. Values that only training needs are then ignored.

    Raises:
        UsageError: If a removed key has another value than the constant that replaced it.
    """
    if not _is_version_1(values):
        return values
    logger.debug("%s: upgraded from format version 1", where)
    new = {key: dict(value) if isinstance(value, dict) else value for key, value in values.items()}
    new.pop("format_version", None)
    _split_data(new)
    _remove_constants(new, where=where, is_finished=is_finished)
    if isinstance(prompt := new.get("prompt"), dict) and "looks_at" in prompt:
        prompt["source"] = prompt.pop("looks_at")
    if "method" not in new and isinstance(objective := new.get("objective"), dict):
        new["method"] = infer_method(objective)
    return new


def _is_version_1(values: Mapping[str, Any]) -> bool:
    return values.get("format_version") == 1 or isinstance(values.get("data"), dict)


def _split_data(values: dict[str, Any]) -> None:
    """Move the keys of ``[data]`` to ``[corpus]`` and ``[training_set]``."""
    data = values.pop("data", {})
    if isinstance(augmentation := data.get("augmentation"), dict):
        data["augmentation"] = dict(augmentation)
    corpus = {key: data.pop(key) for key in _CORPUS_KEYS if key in data}
    training_set = {new: data.pop(old) for old, new in _TRAINING_SET_KEYS.items() if old in data}
    rest = ["rest"] if data.pop("rest_unlabelled", False) else []
    if unlabelled := [*map(str, data.pop("unlabelled", ())), *rest]:
        training_set["unlabelled"] = unlabelled
    for name, found in (("corpus", corpus), ("training_set", {**training_set, **data})):
        if found:
            values[name] = {**values.get(name, {}), **found}


def _remove_constants(values: dict[str, Any], *, where: str, is_finished: bool) -> None:
    sections = {**values, "augmentation": values.get("training_set", {}).get("augmentation")}
    for (section, key), constant in {**REMOVED, ("prompt", "heads"): None}.items():
        table = sections.get(section)
        if not isinstance(table, dict) or key not in table:
            continue
        value = table.pop(key)
        if value != constant and not is_finished and (section, key) not in _FREE:
            raise UsageError(
                f"{where}: {section}.{key} = {value!r} is no longer a setting (now {constant!r}); remove it"
            )
