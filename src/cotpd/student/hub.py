"""The Hugging Face hub: a name becomes a directory, or one clear line says why not."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cotpd.core.errors import MissingExtraError

logger = logging.getLogger(__name__)


def fetch(name: str, files: Sequence[str], **options: Any) -> Path:
    """The directory of a repository's files that match the patterns ``files``, downloaded or from the cache.

    ``options`` are those of `huggingface_hub.snapshot_download`. Raises `MissingExtraError` where it cannot be had.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    logger.info("looking for %s on the Hugging Face hub", name)
    try:
        return Path(snapshot_download(name, allow_patterns=list(files), **options))
    except (OSError, HFValidationError) as error:
        reason = str(error).strip().split("\n")[0]
        raise MissingExtraError(f"{name}: neither a directory nor to be had from the hub: {reason}") from error
