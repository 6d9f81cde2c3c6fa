"""The settings by which a run reads its corpus, found from the run or from its model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cotpd.core.config import DataConfig


def data_settings(run: Path) -> DataConfig | None:
    """Those of a run, also where its ``model`` is given; None for a model that lies elsewhere."""
    from cotpd.core.config import ExperimentConfig

    model = run.resolve()
    directories = (run, model.parent) if model.name == "model" else (run,)
    configs = [path for directory in directories if (path := directory / "config.toml").is_file()]
    return ExperimentConfig.read(configs[0]).data if configs else None
