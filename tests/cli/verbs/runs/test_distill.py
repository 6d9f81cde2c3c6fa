"""`cotpd distill` trains from a configuration, suggests the next command, and continues an interrupted run."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cotpd.cli.display.training_bar import TrainingBar
from cotpd.distillation.trainer import Trainer

Cotpd = Callable[..., Any]


@pytest.fixture
def config(tiny_encoder: Path, tmp_path: Path) -> Path:
    """A configuration for the tiny encoder and a corpus of three examples."""
    row = (
        '{"words": ["Ann", "visits", "Oslo"], "entities": [{"start": 0, "end": 1, "label": "PER"}, '
        '{"start": 2, "end": 3, "label": "LOC"}], "relations": [{"head": 0, "tail": 1, "label": "visits"}], '
    )
    for split, ids in (("train", "ab"), ("dev", "c")):
        rows = [f'{row}"id": "{name}", "image": "{name}"}}\n' for name in ids]
        (tmp_path / f"{split}.jsonl").write_text("".join(rows), encoding="utf-8")
    (tmp_path / "captions.jsonl").write_text('{"image_id": "a", "text": "a woman"}\n', encoding="utf-8")
    path = tmp_path / "c.toml"
    path.write_text(
        f'corpus.path = "{tmp_path}"\nstudent.encoder = "{tiny_encoder}"\nprompt.length = 2\n'
        'optimisation = {epochs = 1, batch_size = 1, precision = "float32"}\n',
        encoding="utf-8",
    )
    return path


def test_the_suggested_command_fits_the_task_and_works(config: Path, tmp_path: Path, cotpd: Cotpd) -> None:
    for task in ("entities", "relations"):
        run = tmp_path / f"of {task}"
        outcome = cotpd("distill", config, "--set", f"task={task}", "--set", "corpus.repair=drop", "--out", run)
        assert outcome.code == 0, outcome.err
        assert ("(micro, strict)" if task == "entities" else "(micro)") in outcome.out
        suggested = shlex.split(outcome.out.partition("try: cotpd ")[2])
        assert cotpd(*suggested).code == 0


def test_a_run_that_stopped_after_its_training_is_finished_and_reports_its_score(
    config: Path, tmp_path: Path, cotpd: Cotpd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cotpd.distillation.trainer.Trainer._dev_f1", lambda _: 0.25)
    arguments = ("distill", config, "--out", tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr("cotpd.distillation.recipe._finish", lambda *_: (tmp_path / "no" / "room").touch())
        assert cotpd(*arguments).code == 1
    assert "dev F1 25.00" in cotpd(*arguments, "--resume").out
    # A process that is killed right after it has written the model leaves its checkpoints behind.
    (tmp_path / "run" / "checkpoints" / "step-1").mkdir(parents=True)
    assert cotpd(*arguments, "--resume").code == 2
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_only_one_of_several_processes_shows_its_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rich.console.Console.is_terminal", True)
    assert [TrainingBar(shown=shown).is_live for shown in (True, False)] == [True, False]


def test_an_interrupted_run_resumes_from_its_checkpoint(
    config: Path, tmp_path: Path, cotpd: Cotpd, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = Trainer._update
    monkeypatch.setattr("cotpd.distillation.trainer.CHECKPOINT_STEPS", 1)
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):

        def interrupted(self: Trainer, step: int, number: signal.Signals = number) -> Any:
            if self._state.step == 1:
                signal.raise_signal(number)
            return update(self, step)

        run = tmp_path / str(code)
        arguments = ("distill", config, "--out", run)
        with monkeypatch.context() as patch:
            patch.setattr(Trainer, "_update", interrupted)
            stopped = cotpd(*arguments)
        assert (stopped.code, stopped.out) == (code, "")
        assert "error" not in stopped.err
        assert [path.name for path in (run / "checkpoints").iterdir()] == ["step-1"]
        assert cotpd(*arguments).code == 2
        assert cotpd(*arguments, "--resume").code == 0
