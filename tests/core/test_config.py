"""A configuration is read, changed, refused and written back."""

from pathlib import Path
from typing import Any

import pytest

from cotpd.core.config import ExperimentConfig, apply_changes
from cotpd.core.errors import UsageError

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_released_configuration_is_valid_and_survives_writing(path: Path, tmp_path: Path) -> None:
    config = ExperimentConfig.read(path)
    (tmp_path / "config.toml").write_text(config.to_toml(), encoding="utf-8")
    assert ExperimentConfig.read(tmp_path / "config.toml") == config


def test_there_are_released_configurations() -> None:
    assert list(CONFIGS.glob("*.toml"))


def test_changes_are_read_as_toml_json_or_text(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('data.path = "here"', encoding="utf-8")
    config = ExperimentConfig.read(
        path, ["optimisation.epochs=3", "data.path=/somewhere/else", "data.label_map={OTHER='MISC'}", "views.parts=[]"]
    )
    assert config.optimisation.epochs == 3
    assert config.data.path == Path("/somewhere/else")
    assert config.data.label_map == {"OTHER": "MISC"}
    assert config.views.parts == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("optimisation.epoch=3", "did you mean epochs"),
        ("optimsation.epochs=3", "unknown key optimsation"),
        ("optimisation.epochs=none", "optimisation.epochs"),
        ("epochs", "write section.key=value"),
        ("data.path.x=1", "is a value, not a section"),
        ("objective.target=none", "set task_loss"),
        ("objective.target=recorded", "target_runs"),
        ("data.left_out=3/2", "1 <= K <= N"),
        ("data.left_out=0/2", "1 <= K <= N"),
        ("data.left_out=1/1", "1 <= K <= N"),
        ("data.left_out=half", "data.left_out"),
        ("format_version=2", "upgrade cotpd"),
        (f"seed={2**63}", "seed"),
        ("objective.weight=inf", "objective.weight"),
    ],
)
def test_a_wrong_change_is_refused_by_name(change: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('[data]\npath = "here"', encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        ExperimentConfig.read(path, [change])


def test_a_file_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[data", encoding="utf-8")
    with pytest.raises(UsageError, match=r"c\.toml"):
        ExperimentConfig.read(tmp_path / "c.toml")
    (tmp_path / "deep.toml").write_text("a = " + "[" * 5000, encoding="utf-8")
    with pytest.raises(UsageError, match=r"deep\.toml"):
        ExperimentConfig.read(tmp_path / "deep.toml")
    with pytest.raises(UsageError, match=r"missing\.toml"):
        ExperimentConfig.read(tmp_path / "missing.toml")


def test_a_change_nested_too_deep_is_plain_text() -> None:
    values: dict[str, Any] = {}
    apply_changes(values, [f"data.path={'[' * 5000}"])
    assert values == {"data": {"path": "[" * 5000}}
