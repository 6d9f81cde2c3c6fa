"""Tests that configurations of version 0.1.0 still read the same."""

from pathlib import Path

import pytest

from cotpd.core.config import ExperimentConfig
from cotpd.core.errors import UsageError

RELEASED = """
format_version = 1
seed = 7

[data]
path = "data/mine"
captioner = "blip2"
label_map = { OTHER = "MISC" }
repair = "drop"
normalise_words = true
train_share = 0.1
left_out = "2/5"
unlabelled = ["data/more"]
rest_unlabelled = true
corruption = "noised"
corruption_share = 0.3

[data.augmentation]
kinds = ["style"]
share = 0.5

[student]
encoder = "minilm"
dropout = 0.1
scheme = "BIO"

[prompt]
length = 4
heads = 6
looks_at = "states"

[objective]
student = "text"
target = "recorded"
target_runs = ["runs/teacher"]
task_loss = "student"
alignment = "marginals"
aligned = "unlabelled"

[optimisation]
epochs = 3
clip = 1.0
checkpoint_steps = 50
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "config.toml").write_text(RELEASED, encoding="utf-8")
    return tmp_path


def test_every_key_of_version_1_has_its_place_in_version_2(run: Path) -> None:
    config = ExperimentConfig.read(run / "config.toml")
    assert config.corpus
    assert config.corpus.model_dump(mode="json") == {
        "path": "data/mine",
        "captioner": "blip2",
        "knowledge_model": None,
        "label_map": {"OTHER": "MISC"},
        "repair": "drop",
        "normalise_words": True,
    }
    assert config.training_set.model_dump(mode="json") == {
        "share": 0.1,
        "fold": "2/5",
        "unlabelled": ["data/more", "rest"],
        "reversed_pairs": {},
        "augmentation": {"kinds": ["style"], "share": 0.5},
        "corruption": "noised",
        "corruption_share": 0.3,
    }
    assert (config.prompt.length, config.prompt.source) == (4, "states")
    assert (config.method, config.seed, config.optimisation.epochs) == ("two-stage", 7, 3)
    assert config.objective.target_runs == (Path("runs/teacher"),)
    assert ExperimentConfig.of_run(run) == config


def test_upgraded_configuration_is_written_as_version_2(run: Path) -> None:
    config = ExperimentConfig.read(run / "config.toml")
    text = config.to_toml()
    assert "format_version = 2" in text
    (run / "config.toml").write_text(text, encoding="utf-8")
    assert ExperimentConfig.read(run / "config.toml") == config


def test_changed_constant_is_refused_for_training_and_ignored_for_a_finished_run(run: Path) -> None:
    (run / "config.toml").write_text(RELEASED.replace("clip = 1.0", "clip = 0.5"), encoding="utf-8")
    with pytest.raises(UsageError, match=r"optimisation\.clip = 0\.5 is no longer a setting"):
        ExperimentConfig.read(run / "config.toml")
    assert ExperimentConfig.of_run(run).seed == 7


def test_old_key_on_the_command_line_changes_a_new_file(tmp_path: Path) -> None:
    (tmp_path / "new.toml").write_text('[corpus]\npath = "a"\ncaptioner = "b"', encoding="utf-8")
    config = ExperimentConfig.read(tmp_path / "new.toml", ["data.path=elsewhere", "data.train_share=0.5"])
    assert config.corpus
    assert (str(config.corpus.path), config.corpus.captioner) == ("elsewhere", "b")
    assert config.training_set.share == 0.5


def test_unknown_key_of_the_old_table_is_reported(tmp_path: Path) -> None:
    (tmp_path / "old.toml").write_text('[data]\npath = "a"\ntrain_shares = 0.5', encoding="utf-8")
    with pytest.raises(UsageError, match=r"unknown key training_set\.train_shares"):
        ExperimentConfig.read(tmp_path / "old.toml")
