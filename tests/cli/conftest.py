"""A finished run of a tiny random student."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path

import pytest
import torch

from cotpd.core.config import ExperimentConfig, ViewConfig
from cotpd.core.records import NO_RELATION
from cotpd.student import checkpoint
from cotpd.student.design import Design, PromptDesign
from cotpd.student.encoder import TextEncoder
from cotpd.student.student import Student
from cotpd.views.view import ViewKind


@pytest.fixture(scope="session")
def finished_run(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It ships the prompt-enhanced view; its head is loud enough to find entities in any text."""
    path = tmp_path_factory.mktemp("finished_run")
    encoder, tokenizer = TextEncoder.from_pretrained(str(tiny_encoder))
    prompt, views = PromptDesign(heads=2, length=3), ViewConfig(knowledge_pieces=24)
    design = Design("entities", ("LOC", "ORG", "PER"), ViewKind.PROMPT, prompt, views)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        student = Student(encoder, tokenizer, design)
        torch.nn.init.normal_(student.head.project.weight, std=0.8)
    checkpoint.save(student.eval(), path / "model")
    config = ExperimentConfig.of({"data": {"path": "nowhere", "label_map": {"MISC": "ORG"}}})
    (path / "config.toml").write_text(config.to_toml(), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def relation_run(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of relations: as `finished_run`, and loud enough to tell all of its labels."""
    path = tmp_path_factory.mktemp("relation_run")
    encoder, tokenizer = TextEncoder.from_pretrained(str(tiny_encoder))
    prompt, views = PromptDesign(heads=2, length=3), ViewConfig(knowledge_pieces=24)
    labels = (NO_RELATION, "/loc/loc/contain", "/per/misc/present_in")
    design = Design("relations", labels, ViewKind.PROMPT, prompt, views)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        student = Student(encoder, tokenizer, design)
        torch.nn.init.normal_(student.head.project.weight, std=0.8)
    checkpoint.save(student.eval(), path / "model")
    config = ExperimentConfig.of({"data": {"path": "nowhere"}, "task": "relations"})
    (path / "config.toml").write_text(config.to_toml(), encoding="utf-8")
    return path


@pytest.fixture
def when_waiting(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[Callable[[], None]], None]]:
    """Have something done when a command begins to wait for another that writes its store: the end of that one."""
    log, ends = logging.getLogger("cotpd.llm.store.sqlite_file"), []
    caplog.set_level(logging.INFO, log.name)

    def end(record: logging.LogRecord) -> bool:
        if "waiting for" in record.msg:
            ends.pop()()
        return True

    log.addFilter(end)
    yield ends.append
    log.removeFilter(end)


@pytest.fixture(scope="session")
def sample_path() -> Path:
    """The directory of the embedded sample."""
    return Path(str(files("cotpd") / "sample"))
