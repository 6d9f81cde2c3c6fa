"""Downloads from the Hugging Face hub, and which names mean a repository there."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cotpd.core.errors import MissingExtraError

logger = logging.getLogger(__name__)

PREFIX = "hf:"
"""Marks a name of the hub, whatever directories exist."""

_PART = r"[A-Za-z0-9_][\w.-]*"
_REPOSITORY = re.compile(f"{_PART}/{_PART}", re.ASCII)
_ONE_PART = re.compile(_PART, re.ASCII)


def repository_of(name: str, *, accepts_one_part: bool = False) -> str | None:
    """Return the hub repository that a name means; None if it can only be a local path.

    So a mistyped path is an error and does not go online: ``runs/mine`` is no repository where a directory ``runs``
    exists.

    Args:
        name: ``owner/name`` where no such path and no directory ``owner`` exists, or any repository after ``hf:``.
        accepts_one_part: Whether a single word, such as ``bert-base-uncased``, also means a repository.
    """
    marked, path = name.removeprefix(PREFIX), Path(name)
    if marked != name:
        is_repository = _REPOSITORY.fullmatch(marked) or _ONE_PART.fullmatch(marked)
        return marked if is_repository else None
    if path.exists():
        return None
    if accepts_one_part and _ONE_PART.fullmatch(name):
        return name
    return name if _REPOSITORY.fullmatch(name) and not path.parent.exists() else None


def fetch(repository: str, files: Sequence[str], **options: Any) -> Path:
    """Download a repository from the Hugging Face hub, or find it in the cache.

    Args:
        repository: Name of the repository, as ``owner/name``.
        files: Patterns of the files to download.
        options: Further options of `huggingface_hub.snapshot_download`.

    Returns:
        The directory with the files.

    Raises:
        MissingExtraError: If the repository is not available.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    logger.info("fetching %s from the Hugging Face hub", repository)
    try:
        return Path(snapshot_download(repository, allow_patterns=list(files), **options))
    except (OSError, HFValidationError) as error:
        reason = str(error).strip().split("\n")[0]
        message = f"{repository}: not a directory, and not available from the Hugging Face hub: {reason}"
        raise MissingExtraError(message) from error
