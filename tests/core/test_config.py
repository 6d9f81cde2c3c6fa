"""Tests of reading, changing, validating and writing a configuration."""

from pathlib import Path
from typing import Any, get_args

import pytest

from cotpd.core.config import ExperimentConfig
from cotpd.core.errors import UsageError
from cotpd.core.methods import TEACHER_METHODS, Method, infer_method
from cotpd.core.toml import apply_changes

CONFIGS_DIR = Path(__file__).parents[2] / "configs"
CONFIGS = sorted([*CONFIGS_DIR.glob("*.toml"), *CONFIGS_DIR.glob("paper/*.toml")])


def test_released_configurations_are_valid_and_survive_writing(tmp_path: Path) -> None:
    assert {path.parent.name for path in CONFIGS} == {"configs", "paper"}
    for path in CONFIGS:
        config = ExperimentConfig.read(path)
        (tmp_path / "config.toml").write_text(config.to_toml(), encoding="utf-8")
        assert ExperimentConfig.read(tmp_path / "config.toml") == config, path


@pytest.mark.parametrize("path", sorted(CONFIGS_DIR.glob("paper/*.toml")), ids=lambda path: path.stem)
def test_configurations_of_the_paper_accept_every_method_and_never_stop_early(path: Path) -> None:
    for method in get_args(Method):
        config = ExperimentConfig.read(path, [f"method={method}"])
        assert config.method == method
        assert config.optimisation.patience == config.optimisation.epochs


def test_changes_are_parsed_as_json_toml_or_text(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('corpus.path = "here"', encoding="utf-8")
    changes = ["optimisation.epochs=3", "corpus.path=/elsewhere", "corpus.label_map={OTHER='MISC'}", "views.parts=[]"]
    config = ExperimentConfig.read(path, changes)
    assert config.corpus
    assert config.optimisation.epochs == 3
    assert config.corpus.path == Path("/elsewhere")
    assert config.corpus.label_map == {"OTHER": "MISC"}
    assert config.views.parts == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("optimisation.epoch=3", "unknown key optimisation.epoch; did you mean epochs"),
        ("optimsation.epochs=3", "unknown key optimsation"),
        ("optimisation.epochs=none", "optimisation.epochs"),
        ("epochs", "expected section.key=value"),
        ("corpus.path.x=1", "is a value, not a section"),
        ("method=magic", "method"),
        ("objective.target=none", "task_loss = 'student'"),
        ("objective.target=recorded", "task_loss = 'student'"),
        ('objective={target="recorded",task_loss="student"}', "needs target_runs, or method = 'two-stage'"),
        ('objective.target_runs=["runs/a"]', "needs objective.target = 'recorded'"),
        ("objective.aligned=unlabelled", "needs training_set.unlabelled"),
        ("training_set.fold=3/2", "1 <= K <= N"),
        ("training_set.fold=0/2", "1 <= K <= N"),
        ("training_set.fold=1/1", "1 <= K <= N"),
        ("training_set.fold=half", "training_set.fold"),
        ("format_version=3", "upgrade cotpd"),
        (f"seed={2**63}", "seed"),
        ("objective.weight=inf", "objective.weight"),
    ],
)
def test_invalid_change_is_reported_by_key(change: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('[corpus]\npath = "here"', encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        ExperimentConfig.read(path, [change])


def test_file_that_is_not_toml_is_reported_by_name(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[corpus", encoding="utf-8")
    (tmp_path / "deep.toml").write_text("a = " + "[" * 5000, encoding="utf-8")
    for name in ("c", "deep", "missing"):
        with pytest.raises(UsageError, match=rf"{name}\.toml"):
            ExperimentConfig.read(tmp_path / f"{name}.toml")


def test_deeply_nested_change_is_kept_as_text() -> None:
    values: dict[str, Any] = {}
    apply_changes(values, [f"corpus.path={'[' * 5000}"])
    assert values == {"corpus": {"path": "[" * 5000}}


def test_each_method_is_a_preset_of_the_objective() -> None:
    views = {}
    for method in get_args(Method):
        objective = ExperimentConfig.of({"method": method}).objective
        views[method] = (objective.student, objective.target)
        inferred = infer_method(objective.model_dump())
        assert inferred == ("two-stage" if method in TEACHER_METHODS else method)
    assert views["cotpd"] == ("prompt", "knowledge")
    assert views["ita"] == ("text", "knowledge")
    assert views["text-only"] == ("text", "none")
    assert views["knowledge-only"] == ("knowledge", "none")
    assert views["two-stage"] == views["self-training"] == ("text", "recorded")
    assert views["r-drop"] == ("text", "text")


def test_key_of_the_objective_overrides_the_preset_of_the_method() -> None:
    config = ExperimentConfig.of({"method": "ita", "objective": {"task_loss": "target", "weight": 0.5}})
    assert (config.objective.student, config.objective.task_loss) == ("text", "target")
    assert config.objective.weight == 0.5
    assert not config.trains_like(ExperimentConfig.of({"method": "ita"}))


def test_teacher_teaches_only_unlabelled_examples_if_there_are_any() -> None:
    with_rest = ExperimentConfig.of({"method": "two-stage", "training_set": {"unlabelled": ["rest", "data/more"]}})
    assert with_rest.objective.aligned == "unlabelled"
    assert with_rest.training_set.uses_rest
    assert with_rest.training_set.unlabelled_paths == (Path("data/more"),)
    assert with_rest.needs_teacher
    assert ExperimentConfig.of({"method": "two-stage"}).objective.aligned == "all"


def test_score_mode_follows_the_repair_policy() -> None:
    modes = {}
    for repair in ("conlleval", "drop", "strict"):
        corpus = ExperimentConfig.of({"corpus": {"path": "x", "repair": repair}}).corpus
        assert corpus
        modes[repair] = corpus.score_mode
    assert modes == {"conlleval": "conlleval", "drop": "strict", "strict": "strict"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed = " + "9" * 30, "an integer has at most 64 bits, got one of 100"),
        ("seed = " + "9" * 5_000, "not valid TOML"),
        ("[corpus]\npath = 'x'\nlabel_map = { 'A' = \"a\\u0000b\" }", "holds the character U"),
        ('[corpus]\npath = "a\\u0000b"', "holds the character U"),
        ("a = " + "[" * 5_000 + "]" * 5_000, "not valid TOML"),
        ("[prompt]\nlength = 1000000000000", "prompt.length: Input should be less than or equal to 1000"),
    ],
)
def test_a_value_beyond_all_limits_is_a_usage_error(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        ExperimentConfig.read(path)


@pytest.mark.parametrize("change", ["seed=" + "9" * 30, 'student.encoder="a\\u0000b"', "seed=" + "9" * 5_000])
def test_a_change_beyond_all_limits_is_a_usage_error(change: str, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("seed = 1\n")
    with pytest.raises(UsageError, match=r"seed|student\.encoder"):
        ExperimentConfig.read(tmp_path / "config.toml", [change])


def test_a_loop_of_links_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "config.toml").symlink_to("config.toml")
    with pytest.raises(UsageError, match="symbolic links"):
        ExperimentConfig.read(tmp_path / "config.toml")
