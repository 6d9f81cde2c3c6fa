"""The names of splits in file names and rows."""

from __future__ import annotations

import re

SPLIT_NAMES = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("dev", "devel", "development", "valid", "val", "validation", "testa"), "dev"),
    **dict.fromkeys(("test", "testing", "tst", "testb"), "test"),
}
"""The split that each word names. ``testa`` and ``testb`` are the dev and test files of CoNLL-2003."""


def named_split(name: str | None) -> str | None:
    """Return the split in a name (``mnre_val .txt`` and ``valid`` are dev), or None if it names none or several."""
    splits = {SPLIT_NAMES[part] for part in re.split(r"[^a-z]+", (name or "").lower()) if part in SPLIT_NAMES}
    return splits.pop() if len(splits) == 1 else None
