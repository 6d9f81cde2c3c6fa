"""Downloads from the Hugging Face hub."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cotpd.core.errors import MissingExtraError

logger = logging.getLogger(__name__)


def fetch(name: str, files: Sequence[str], **options: Any) -> Path:
    """Download a repository from the Hugging Face hub, or find it in the cache.

    Args:
        name: Name of the repository, as ``owner/name``.
        files: Patterns of the files to download.
        options: Further options of `huggingface_hub.snapshot_download`.

    Returns:
        The directory with the files.

    Raises:
        MissingExtraError: If the repository is not available.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    logger.info("fetching %s from the Hugging Face hub", name)
    try:
        return Path(snapshot_download(name, allow_patterns=list(files), **options))
    except (OSError, HFValidationError) as error:
        reason = str(error).strip().split("\n")[0]
        message = f"{name}: not a directory, and not available from the Hugging Face hub: {reason}"
        raise MissingExtraError(message) from error
