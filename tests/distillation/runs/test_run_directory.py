"""The directory of a run: how many checkpoints it keeps, and what files of others in it lead to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cotpd.core.config import ExperimentConfig
from cotpd.core.errors import CheckpointError, UsageError
from cotpd.distillation.runs import run_directory
from cotpd.distillation.runs.run_directory import RunDirectory, State, state_json


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory.open(tmp_path / "run", ExperimentConfig(), data="hash", resume=False)


def save(run: RunDirectory, *steps: int) -> None:
    for step in steps:
        for kind in ("step", "best"):
            with run.save(kind, step) as directory:
                (directory / "state.json").write_text(state_json(State(step=step)), encoding="utf-8")


def test_two_checkpoints_of_each_kind_are_kept(run: RunDirectory) -> None:
    """The newest may be damaged by a loss of power."""
    save(run, 8, 9, 10, 11)
    run.prune()
    names = {directory.name for directory in (run.path / "checkpoints").iterdir()}
    assert names == {"step-11", "step-10", "best-11", "best-10"}


def test_files_of_others_among_the_checkpoints_are_ignored(run: RunDirectory) -> None:
    save(run, 5)
    for name in ("step-5 (copy)", "step-", "step-last", "step-5.bak", "step-٣", "step-" + "9" * 5_000):
        if len(name) < 200:
            (run.path / "checkpoints" / name).mkdir()
    assert [directory.name for directory in run.checkpoints("step")] == ["step-5"]
    assert run.newest() == (run.path / "checkpoints" / "step-5", State(step=5))


@pytest.mark.parametrize("content", ["[]", "3", '{"data": 5}', '{"data": {}}', "{" * 9_999, "\udcff"])
def test_an_odd_environment_is_a_checkpoint_error(run: RunDirectory, content: str) -> None:
    (run.path / "environment.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(CheckpointError, match=r"environment\.json: damaged"):
        RunDirectory.open(run.path, ExperimentConfig(), data="hash", resume=True)


@pytest.mark.parametrize("state", [[], {"step": "soon"}, {"step": 5, "colour": "red"}, None])
def test_an_odd_state_is_a_checkpoint_error(run: RunDirectory, state: object, monkeypatch: pytest.MonkeyPatch) -> None:
    save(run, 5)
    monkeypatch.setattr(run_directory, "verify_directory", lambda _: None)
    (run.path / "checkpoints" / "step-5" / "state.json").write_text(json.dumps(state))
    if isinstance(state, dict) and "colour" in state:
        assert run.newest() is not None, "a newer version may have saved more"
    else:
        with pytest.raises(CheckpointError, match=r"state\.json: damaged"):
            run.newest()


@pytest.mark.parametrize("row", ["{}", '{"step": "2"}', '{"step": null}'])
def test_metrics_without_a_step_are_a_checkpoint_error(run: RunDirectory, row: str) -> None:
    (run.path / "metrics.jsonl").write_text(f"{row}\n")
    with pytest.raises(CheckpointError, match=r"metrics\.jsonl: a line without the number of its update"):
        run.rewind_metrics(1)


def test_a_full_disk_names_the_file_and_what_is_safe(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "open", fail)
    with pytest.raises(OSError, match="No space left on device; the checkpoints are intact: free") as caught:
        run.log(step=1)
    assert caught.value.filename == str(run.path / "metrics.jsonl")


def test_a_linked_lock_leads_to_no_other_file(run: RunDirectory, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine\n")
    (run.path / ".lock").symlink_to("../notes.txt")
    with pytest.raises(UsageError, match="found a symbolic link"), run.exclusive():
        pass
    assert (tmp_path / "notes.txt").read_text() == "mine\n"
