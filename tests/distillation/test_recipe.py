"""A run trains, resumes after a kill with bitwise equal results, and rejects unusable input."""

import contextlib
import json
import logging
import math
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import cotpd
from cotpd.core.config import ExperimentConfig
from cotpd.core.errors import CheckpointError, DataError, TrainingError, UsageError
from cotpd.core.records import Entity, Example, Origin, Span, VariantKind
from cotpd.corpus.corpus import Corpus
from cotpd.distillation import targets
from cotpd.distillation.distributed import processes
from cotpd.distillation.progress import Progress
from cotpd.distillation.recipe import build_student, distill
from cotpd.distillation.runs.run_directory import RunDirectory, State, state_json
from cotpd.distillation.targets import record_targets
from cotpd.distillation.training_set.selection import TrainingSet, labelled_examples
from cotpd.inference.extractor import Extractor
from cotpd.student import checkpoint
from cotpd.student.student import Student
from cotpd.views.view import ViewKind


@pytest.fixture(autouse=True)
def _frequent_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save a checkpoint after every second update."""
    monkeypatch.setattr("cotpd.distillation.trainer.CHECKPOINT_STEPS", 2)


ALONE = {"student": "knowledge", "target": "none", "task_loss": "student", "alignment": "none"}
RECORDED = {"student": "text", "target": "recorded", "task_loss": "student"}


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model" / "model.safetensors")


def rows(run: Path) -> list[dict[str, Any]]:
    columns = ("step", "epoch", "task_loss", "alignment_loss", "dev_f1", "learning_rate")
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [{key: value for key, value in json.loads(line).items() if key in columns} for line in lines]


def test_a_run_directory_holds_config_metrics_model_and_predictions(
    corpus: Corpus, configure: Callable[..., ExperimentConfig], tmp_path: Path
) -> None:
    seen: list[Progress] = []
    extractor = distill(corpus, config=configure(), out=str(tmp_path / "run"), listener=seen.append)
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        ".lock",
        "config.toml",
        "environment.json",
        "metrics.jsonl",
        "model",
        "predictions.dev.jsonl",
        "summary.json",
    }
    assert ExperimentConfig.read(str(tmp_path / "run" / "config.toml")) == configure()
    assert len([progress for progress in seen if progress.dev_f1 is not None]) == 2
    losses = [row for row in rows(tmp_path / "run") if "task_loss" in row]
    assert losses[-1]["task_loss"] < losses[0]["task_loss"]
    assert all(row["alignment_loss"] > 0 for row in losses)
    assert [p.id for p in extractor.predict(corpus.dev)] == [example.id for example in corpus.dev]


_KILLED = """
import os, signal, sys
from pathlib import Path
from cotpd.core import files
from cotpd.core.config import ExperimentConfig
from cotpd.corpus.corpus import Corpus
from cotpd.distillation import trainer
from cotpd.distillation.recipe import distill

config, out, *kills = ExperimentConfig.read(Path(sys.argv[1])), Path(sys.argv[2]), *sys.argv[3:]
sample = Corpus.sample()
corpus = Corpus(train=sample.train[:24], dev=sample.dev[:10])
trainer.CHECKPOINT_STEPS = 2
update, hash_file = trainer.Trainer._update, files.hash_file

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def train_until(kill):
    kind, _, number = kill.partition("-")
    num_hashed = 0

    def update_or_die(self, step):
        return die() if kind == "update" and self._state.step == int(number) else update(self, step)

    def hash_or_die(path):
        nonlocal num_hashed
        num_hashed += 1
        return die() if kind == "save" and num_hashed == int(number) else hash_file(path)

    trainer.Trainer._update, files.hash_file = update_or_die, hash_or_die
    distill(corpus, config=config, out=out, resume=True)

for kill in kills:  # a forked child per kill, because importing torch takes seconds
    if (child := os.fork()) == 0:
        train_until(kill)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL, kill
train_until("never")
"""


KILLS = {"entities": ("update-1", "save-2", "update-3", "save-5", "update-5"), "relations": ("update-3", "save-5")}


@pytest.mark.slow
@pytest.mark.parametrize("task", KILLS)
def test_a_run_that_is_killed_anywhere_resumes_to_the_same_weights(
    corpus: Corpus, configure: Callable[..., ExperimentConfig], tmp_path: Path, task: str
) -> None:
    """One run is killed between updates and in the middle of saving, several times."""
    config = configure(task=task, views={"part_dropout": 0.3})
    distill(corpus, config=config, out=tmp_path / "whole")
    (tmp_path / "c.toml").write_text(config.to_toml(), encoding="utf-8")
    script = [sys.executable, "-c", _KILLED, str(tmp_path / "c.toml"), str(tmp_path / "killed"), *KILLS[task]]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    expected, found = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    assert expected.keys() == found.keys()
    assert [name for name in expected if not torch.equal(expected[name], found[name])] == []
    assert rows(tmp_path / "whole") == rows(tmp_path / "killed")


@pytest.mark.parametrize("kind", ["step", "best"])
def test_resuming_ignores_a_damaged_checkpoint(
    corpus: Corpus, configure: Callable[..., ExperimentConfig], tmp_path: Path, kind: str
) -> None:
    def stop(progress: Progress) -> None:
        if progress.step == 6 and progress.dev_f1 is not None:
            raise KeyboardInterrupt

    distill(corpus, config=configure(), out=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        distill(corpus, config=configure(), out=tmp_path / "run", listener=stop)
    newest = max((tmp_path / "run" / "checkpoints").glob(f"{kind}-*"), key=lambda path: int(path.name[5:]))
    (newest / "model.safetensors").write_bytes(b"damaged")
    distill(corpus, config=configure(), out=tmp_path / "run", resume=True)
    expected, found = weights(tmp_path / "whole"), weights(tmp_path / "run")
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_a_damaged_checkpoint_is_moved_away_repeatedly(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    for content in ("first", "second"):
        with run.save("step", 2) as directory:
            (directory / "weights").write_text("whole", encoding="utf-8")
        (tmp_path / "checkpoints" / "step-2" / "weights").write_text(content, encoding="utf-8")
        assert not run.has("step", 2)
    assert (tmp_path / "checkpoints" / "damaged-step-2" / "weights").read_text(encoding="utf-8") == "second"


def test_pruning_keeps_only_new_checkpoints_with_intact_best_weights(tmp_path: Path) -> None:
    """They have the highest numbers, so pruning by number would remove each new checkpoint."""
    run = RunDirectory(tmp_path)

    def save(kind: str, step: int) -> None:
        with run.save(kind, step) as directory:
            (directory / "state.json").write_text(state_json(State(step=step, best_step=1)), encoding="utf-8")

    for kind, step in (("best", 1), ("step", 3), ("step", 4)):
        save(kind, step)
    (tmp_path / "checkpoints" / "best-1" / "state.json").write_text("damaged", encoding="utf-8")
    assert run.newest() is None
    for kind, step in (("best", 1), ("step", 1)):
        save(kind, step)
    run.prune()
    assert run.newest() == (tmp_path / "checkpoints" / "step-1", State(step=1, best_step=1))


def test_a_directory_with_another_run_is_a_usage_error(
    corpus: Corpus, configure: Callable[..., ExperimentConfig], tmp_path: Path
) -> None:
    def stop(_: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        distill(corpus, config=configure(), out=tmp_path, listener=stop)
    with pytest.raises(UsageError, match="--resume"):
        distill(corpus, config=configure(), out=tmp_path)
    with pytest.raises(UsageError, match="another configuration"):
        distill(corpus, config=configure(prompt={"length": 3}), out=tmp_path, resume=True)
    older = (tmp_path / "config.toml").read_text(encoding="utf-8").replace('repair = "conlleval"\n', "")
    (tmp_path / "config.toml").write_text(older, encoding="utf-8")  # a key that came later has its default
    distill(corpus, config=configure(), out=tmp_path, resume=True)
    with pytest.raises(UsageError, match="finished"):
        distill(corpus, config=configure(), out=tmp_path, resume=True)


def test_a_directory_with_other_files_is_not_touched(
    corpus: Corpus, configure: Callable[..., ExperimentConfig], tmp_path: Path
) -> None:
    (tmp_path / "train.jsonl").write_text("{}\n", encoding="utf-8")
    with pytest.raises(UsageError, match="holds other files"):
        distill(corpus, config=configure(), out=tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["train.jsonl"]


def test_only_one_process_at_a_time_works_on_a_run(
    corpus: Corpus, configure: Callable[..., ExperimentConfig], tmp_path: Path
) -> None:
    def begin_again(_: Progress) -> None:
        with pytest.raises(UsageError, match=f"process {os.getpid()} on .* works on it"):
            distill(corpus, config=configure(), out=tmp_path, resume=True)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        distill(corpus, config=configure(), out=tmp_path, listener=begin_again)


def test_resuming_rejects_changed_data_and_warns_of_a_changed_environment(
    corpus: Corpus, configure: Callable[..., ExperimentConfig], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def stop(_: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        distill(corpus, config=configure(), out=tmp_path, listener=stop)
    begun = json.loads((tmp_path / "environment.json").read_text(encoding="utf-8"))
    assert (begun["device"], begun["num_processes"], begun["precision"]) == (processes().device.type, "1", "float32")
    moved = json.dumps({**begun, "num_processes": "4", "torch": "1.0"})
    (tmp_path / "environment.json").write_text(moved, encoding="utf-8")
    with pytest.raises(KeyboardInterrupt):
        distill(corpus, config=configure(), out=tmp_path, resume=True, listener=stop)
    assert f"started with torch 1.0 (now {begun['torch']}), num_processes 4 (now 1); " in caplog.text
    first = replace(corpus.train[0], caption=None)
    for other in (replace(corpus, train=(first, *corpus.train[1:])), replace(corpus, dev=corpus.dev[1:])):
        with pytest.raises(UsageError, match="other examples, captions or knowledge"):
            distill(other, config=configure(), out=tmp_path, resume=True)
    (tmp_path / "environment.json").write_text("{", encoding="utf-8")
    with pytest.raises(CheckpointError, match="damaged"):
        distill(corpus, config=configure(), out=tmp_path, resume=True)
    (tmp_path / "environment.json").write_text("{}", encoding="utf-8")
    distill(corpus, config=configure(), out=tmp_path, resume=True)


def test_a_directory_that_cannot_be_written_is_a_usage_error(
    corpus: Corpus, configure: Callable[..., ExperimentConfig], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(UsageError, match=r"cannot be written .*--out"):
            distill(corpus, config=configure(), out=out)


@pytest.mark.parametrize(
    ("scores", "best", "messages"),
    [
        ([0.2, 0.5, 0.4, 0.3, 0.9], (1, 0.5, 12), "stopped at update 12 of 15: dev F1 has not improved .* epoch 2"),
        ([0.0, 0.0, 0.0, 0.1, 0.0], (3, 0.1, 15), ""),
        ([0.0, 0.0, 0.0, 0.0, 0.0], (4, 0.0, 15), "dev F1 is 0 after the last epoch; .*"),
    ],
)
def test_early_stopping_keeps_the_best_epoch_and_waits_for_a_first_score(
    corpus: Corpus,
    configure: Callable[..., ExperimentConfig],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    scores: list[float],
    best: tuple[int, float, int],
    messages: str,
) -> None:
    """With few posts, dev F1 is 0 for several epochs, and the first weights must not count as the best."""
    logger = "cotpd.distillation.trainer"
    caplog.set_level(logging.INFO, logger)
    found = iter(scores)
    monkeypatch.setattr("cotpd.distillation.trainer.Trainer._dev_f1", lambda _: next(found))
    distill(corpus, config=configure(optimisation={"epochs": 5, "patience": 2}), out=tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["best_epoch"], summary["best_f1"], summary["step"]) == best
    assert re.fullmatch(messages, "\n".join(record.getMessage() for record in caplog.records if record.name == logger))


def test_a_loss_that_is_not_finite_is_an_error_that_names_the_examples(
    corpus: Corpus, configure: Callable[..., ExperimentConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Student.forward
    monkeypatch.setattr(Student, "forward", lambda self, batch: real(self, batch) * math.nan)
    with pytest.raises(TrainingError, match=r"nan at update 1, examples .*train-"):
        distill(corpus, config=configure(), out=tmp_path)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: can't allocate memory: you tried to"),
    ],
    ids=["device", "CPU"],
)
def test_running_out_of_memory_advises_a_smaller_batch(
    corpus: Corpus,
    configure: Callable[..., ExperimentConfig],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: RuntimeError,
) -> None:
    def full(*_: object) -> None:
        raise error

    monkeypatch.setattr(Student, "forward", full)
    with pytest.raises(TrainingError, match=r"optimisation\.batch_size"):
        distill(corpus, config=configure(), out=tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": ()}, "train and dev examples"),
        ({"dev": ()}, "train and dev examples"),
        ({"train": (Example("1", ("a",)),)}, "no training example has entities"),
        ({"train": (Example("1", ("a",), (Entity(Span(0, 1), "PER"),)),)}, r"captions\.jsonl"),
        ({"dev": (Example("1", ("a",)),)}, "no dev example has entities"),
        ({"dev": (Example("1", ("a",), (Entity(Span(0, 1), "PER"),)),) * 2}, "^1: two dev examples have this id"),
    ],
)
def test_a_corpus_without_the_needed_labels_is_a_data_error(
    corpus: Corpus, configure: Callable[..., ExperimentConfig], tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        distill(replace(corpus, **change), config=configure(), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("objective", [{}, ALONE])
def test_missing_knowledge_is_an_error_if_total_and_a_warning_if_partial(
    corpus: Corpus,
    configure: Callable[..., ExperimentConfig],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    objective: dict[str, str],
) -> None:
    """Otherwise such a run would silently be text-only. A control may lack knowledge."""
    captioned = tuple(replace(post, knowledge=()) for post in corpus.train)
    sections = {"objective": objective, "views": {"parts": ["noun"]}, "optimisation": {"epochs": 1}}
    with pytest.raises(DataError, match="none of the 24 training examples has any of noun"):
        distill(replace(corpus, train=captioned), config=configure(**sections), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    some = replace(corpus, train=(*corpus.train[:1], *captioned[1:]))
    distill(some, config=configure(**sections), out=tmp_path / "some")
    assert "23 of 24 training examples have none of noun" in caplog.text
    distill(corpus, config=configure(**sections, training_set={"corruption": "missing"}), out=tmp_path / "control")
    assert "24 of 24 training examples have none of noun" in caplog.text


def test_missing_knowledge_of_the_teacher_is_a_data_error(
    corpus: Corpus, configure: Callable[..., ExperimentConfig], tmp_path: Path
) -> None:
    teacher = configure(objective=ALONE, views={"parts": ["noun"]}, optimisation={"epochs": 1})
    distill(corpus, config=teacher, out=tmp_path / "first")
    config = configure(objective={**RECORDED, "target_runs": [str(tmp_path / "first")]})
    captioned = tuple(replace(post, knowledge=()) for post in corpus.train)
    with pytest.raises(DataError, match="24 training examples has any of noun"):
        distill(replace(corpus, train=captioned), config=config, out=tmp_path / "second")


def test_missing_kinds_of_variants_are_a_data_error(
    corpus: Corpus, configure: Callable[..., ExperimentConfig], tmp_path: Path
) -> None:
    """Otherwise a study of augmentation would find no effect."""
    origin = Origin(corpus.train[0].id, VariantKind.STYLE, "style.v1", "small")
    variant = replace(corpus.train[0], id="variant", origin=origin)
    config = configure(training_set={"augmentation": {"kinds": ["style", "image"]}})
    with pytest.raises(DataError, match="no variants of kind image; make them with `cotpd augment`"):
        distill(replace(corpus, augmented=(variant,)), config=config, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_two_stages_train_against_recorded_marginals(
    corpus: Corpus, configure: Callable[..., ExperimentConfig], tmp_path: Path
) -> None:
    """In two-stage distillation, the target is recorded once, hashed and reused."""
    distill(corpus, config=configure(objective=ALONE), out=tmp_path / "first")
    objective = {**RECORDED, "target_runs": [str(tmp_path / "first")]}
    for number in (1, 2):
        distill(corpus, config=configure(objective=objective), out=tmp_path / f"second-{number}")
    (recorded,) = (tmp_path / "first").glob("targets-*")
    marginals = load_file(recorded / "targets.safetensors")
    assert set(marginals) == {example.id for example in corpus.train}
    assert all(row.dtype == torch.float16 for row in marginals.values())
    first = marginals[corpus.train[0].id].float()
    assert first.shape[0] == len(corpus.train[0].words)
    torch.testing.assert_close(first.exp().sum(-1), torch.ones(first.shape[0]), atol=5e-3, rtol=0)
    assert all(row["alignment_loss"] > 0 for row in rows(tmp_path / "second-1") if "alignment_loss" in row)
    assert all(
        torch.equal(a, b) for a, b in zip(*(weights(tmp_path / f"second-{n}").values() for n in (1, 2)), strict=True)
    )
    (recorded / "targets.safetensors").unlink()
    with pytest.raises(CheckpointError, match="remove it to record the targets again"):
        distill(corpus, config=configure(objective=objective), out=tmp_path / "second-3")


def test_smaller_shares_are_subsets_of_larger_ones(corpus: Corpus, configure: Callable[..., ExperimentConfig]) -> None:
    def share(size: float) -> set[Example]:
        return set(labelled_examples(corpus, configure(training_set={"share": size})))

    assert [len(share(size)) for size in (0.001, 0.25, 0.5)] == [1, 6, 12]
    assert share(0.25) < share(0.5)


def test_a_teacher_with_a_held_out_fold_teaches_only_that_fold(
    corpus: Corpus, configure: Callable[..., ExperimentConfig], tmp_path: Path
) -> None:
    """In cross-fitting, no teacher has learned the labels of the posts that it teaches."""
    runs = [tmp_path / f"without-{number}" for number in (1, 2)]
    for number, run in enumerate(runs, 1):
        distill(corpus, config=configure(objective=ALONE, training_set={"fold": f"{number}/2"}), out=run)
    both = configure(objective={**RECORDED, "target_runs": [str(run) for run in runs]})
    distill(corpus, config=both, out=tmp_path / "student")
    taught = [set(load_file(next(run.glob("targets-*/*.safetensors")))) for run in runs]
    assert taught[0] | taught[1] == {example.id for example in corpus.train}
    assert not taught[0] & taught[1]
    assert all(taught)
    learned = [json.loads((run / "summary.json").read_text())["num_train"] for run in runs]
    assert learned == [len(taught[1]), len(taught[0])]
    other = configure(objective={**RECORDED, "target_runs": [str(runs[0])]})
    fewer = Corpus(train=tuple(map(without_misc, corpus.train)), dev=tuple(map(without_misc, corpus.dev)))
    with pytest.raises(UsageError, match="train a new teacher"):
        distill(fewer, config=other, out=tmp_path / "lacking")
    nowhere = configure(objective={**RECORDED, "target_runs": [str(tmp_path / "nowhere")]})
    with pytest.raises(UsageError, match="nowhere is not a run; train it first"):
        distill(corpus, config=nowhere, out=tmp_path / "lacking")
    one = configure(objective={**RECORDED, "target_runs": [str(runs[0])]})
    with pytest.raises(UsageError, match="in no held-out fold of these runs"):
        distill(corpus, config=one, out=tmp_path / "lacking")
    assert not (tmp_path / "lacking").exists()


def without_misc(post: Example) -> Example:
    return replace(post, entities=tuple(entity for entity in post.entities if entity.label != "MISC"))


def test_a_teacher_without_knowledge_uses_its_deployed_view(
    corpus: Corpus, configure: Callable[..., ExperimentConfig], tmp_path: Path
) -> None:
    """In self-training, a control, the recorded targets depend only on the text."""
    alone = {**ALONE, "student": "text"}
    distill(corpus, config=configure(objective=alone), out=tmp_path / "text")
    objective = {**RECORDED, "target_runs": [str(tmp_path / "text")]}
    bare = [replace(post, caption=None, knowledge=()) for post in corpus.train]
    for name, posts in (("known", corpus.train), ("bare", bare)):
        distill(replace(corpus, train=tuple(posts)), config=configure(objective=objective), out=tmp_path / name)
    assert all(
        torch.equal(weights(tmp_path / "known")[name], found) for name, found in weights(tmp_path / "bare").items()
    )


def test_targets_of_a_long_text_come_from_windows(corpus: Corpus, configure: Callable[..., ExperimentConfig]) -> None:
    """A teacher with prompts accepts fewer pieces than its student."""
    config = configure(objective={"student": "prompt"}, prompt={"length": 20})
    teacher = build_student(TrainingSet.of(corpus, config), corpus, config).eval()
    most = teacher.reader.max_text_pieces
    long, short = Example("long", ("a",) * (most + 10)), Example("short", ("a",) * most)
    found = record_targets(teacher, [long, short], kind=ViewKind.TEXT)
    assert found["long"].shape == (most + 10, len(teacher.label_set.tags))
    np.testing.assert_allclose(np.exp(found["long"].astype(np.float32)).sum(-1), 1.0, atol=5e-3)
    np.testing.assert_allclose(found["long"][: most // 2], found["short"][: most // 2], atol=1e-2)


def test_targets_of_repeated_ids_are_a_data_error(
    corpus: Corpus, configure: Callable[..., ExperimentConfig], tmp_path: Path
) -> None:
    first, second, *rest = corpus.train
    doubled = replace(corpus, train=(first, replace(second, id=first.id), *rest))
    config = configure()
    like = build_student(TrainingSet.of(corpus, config), corpus, config)
    with pytest.raises(DataError, match=f"^{first.id}: two training examples have this id"):
        targets.read_targets([tmp_path], doubled.train, like)


@pytest.mark.parametrize("wrong", [Entity(Span(0, 2), "LOC"), Entity(Span(2, 9), "LOC")])
def test_invalid_entities_are_an_error_that_names_the_example(
    corpus: Corpus, configure: Callable[..., ExperimentConfig], tmp_path: Path, wrong: Entity
) -> None:
    post = Example("bad", ("a", "b", "c"), (Entity(Span(0, 1), "PER"), wrong))
    with pytest.raises(DataError, match=r"^bad: "):
        distill(replace(corpus, train=(*corpus.train, post)), config=configure(), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_two_processes_record_targets_once(
    corpus: Corpus, configure: Callable[..., ExperimentConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs may need the same targets at once. The second waits until the first has recorded them."""
    distill(corpus, config=configure(objective=ALONE), out=tmp_path / "first")
    like, calls, both_begun = checkpoint.load(tmp_path / "first" / "model"), [], threading.Barrier(2, timeout=2)

    def slowly(*args: Any, **options: Any) -> dict[str, Any]:
        calls.append(1)
        with contextlib.suppress(threading.BrokenBarrierError):
            both_begun.wait()
        return record_targets(*args, **options)

    monkeypatch.setattr(targets, "record_targets", slowly)
    with ThreadPoolExecutor(2) as pool:
        reading = [pool.submit(targets.read_targets, [tmp_path / "first"], corpus.train, like) for _ in range(2)]
    assert [set(found.result()) for found in reading] == [{post.id for post in corpus.train}] * 2
    assert len(calls) == 1


_LAUNCHED = """
from cotpd.cli.app import main
from cotpd.distillation.distributed import processes

try:
    main()
finally:
    print(f"process {processes().process_index} of {processes().num_processes}")
"""


@pytest.mark.slow
def test_several_processes_train_one_run(configure: Callable[..., ExperimentConfig], tmp_path: Path) -> None:
    """Two processes, started as by `accelerate launch`, share each batch, and one of them writes."""
    sample = Path(cotpd.__file__).parent / "sample"
    config = configure(corpus={"path": str(sample)}, training_set={"share": 0.125}, optimisation={"epochs": 1})
    (tmp_path / "c.toml").write_text(config.to_toml(), encoding="utf-8")
    (tmp_path / "launched.py").write_text(_LAUNCHED, encoding="utf-8")
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", f"--master-port={_free_port()}"]
    arguments = ["distill", str(tmp_path / "c.toml"), "--out", str(tmp_path / "run")]
    command = [*launch, str(tmp_path / "launched.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert all(f"process {number} of 2" in done.stdout for number in (0, 1))
    assert done.stdout.count("dev F1") == 1
    (epoch,) = [row for row in rows(tmp_path / "run") if "dev_f1" in row]
    assert epoch["step"] == 3
    assert not (tmp_path / "run" / "checkpoints").exists()
    Extractor.from_pretrained(tmp_path / "run")("Lucy waits in Lusail")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_variants_are_added_to_the_training_examples_only(
    corpus: Corpus, configure: Callable[..., ExperimentConfig], tmp_path: Path
) -> None:
    origin = Origin(corpus.train[0].id, VariantKind.STYLE, "style.v1", "small")
    variant = replace(corpus.train[0], id="variant", words=(*corpus.train[0].words, "indeed"), origin=origin)
    config = configure(training_set={"augmentation": {"kinds": ["style"]}}, optimisation={"epochs": 1})
    distill(replace(corpus, augmented=(variant,)), config=config, out=tmp_path / "with")
    summary = json.loads((tmp_path / "with" / "summary.json").read_text("utf-8"))
    assert summary["num_train"] == len(corpus.train) + 1
    predicted = (tmp_path / "with" / "predictions.dev.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["id"] for line in predicted] == [post.id for post in corpus.dev]


def test_every_file_of_a_run_follows_the_umask(
    corpus: Corpus, configure: Callable[..., ExperimentConfig], tmp_path: Path
) -> None:
    """Weights that only their owner can read are useless in a shared directory."""
    before = os.umask(0o002)
    try:
        distill(corpus, config=configure(), out=tmp_path / "run")
    finally:
        os.umask(before)
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert len(files) > 5
    assert {file.name: oct(file.stat().st_mode & 0o777) for file in files if file.stat().st_mode & 0o777 != 0o664} == {}
