"""Find the corpus settings of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cotpd.core.config import DataConfig


def data_settings(run: Path) -> DataConfig | None:
    """Return the corpus settings of a run, given its directory or the ``model`` in it; None for any other model."""
    from cotpd.core.config import ExperimentConfig

    model = run.resolve()
    directories = (run, model.parent) if model.name == "model" else (run,)
    configs = [path for directory in directories if (path := directory / "config.toml").is_file()]
    return ExperimentConfig.read(configs[0]).data if configs else None
