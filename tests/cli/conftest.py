"""A finished run of a tiny random student."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest
import torch

from cotpd.core.config import ExperimentConfig, PromptConfig, StudentConfig, ViewConfig
from cotpd.core.labels import LabelSet
from cotpd.core.records import NO_RELATION
from cotpd.core.splitting import Rule
from cotpd.student import checkpoint
from cotpd.student.encoder import TextEncoder
from cotpd.student.student import Design, Student
from cotpd.views.view import ViewKind


@pytest.fixture(scope="session")
def finished_run(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It ships the prompt-enhanced view; its head is loud enough to find entities in any text."""
    path = tmp_path_factory.mktemp("finished_run")
    encoder, tokenizer = TextEncoder.from_pretrained(str(tiny_encoder))
    labels, prompt = LabelSet.of(["LOC", "ORG", "PER"]), PromptConfig(heads=2, length=3)
    reads = ViewConfig(knowledge_pieces=24)
    design = Design(labels, StudentConfig(encoder="tiny"), prompt, reads, ViewKind.PROMPT, Rule.FINE)
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
    labels, prompt = LabelSet.of(["LOC", "ORG", "PER"]), PromptConfig(heads=2, length=3)
    design = Design(
        labels,
        StudentConfig(encoder="tiny"),
        prompt,
        ViewConfig(knowledge_pieces=24),
        ViewKind.PROMPT,
        Rule.FINE,
        task="relations",
        relations=(NO_RELATION, "/loc/loc/contain", "/per/misc/present_in"),
    )
    with torch.random.fork_rng():
        torch.manual_seed(1)
        student = Student(encoder, tokenizer, design)
        torch.nn.init.normal_(student.head.project.weight, std=0.8)
    checkpoint.save(student.eval(), path / "model")
    config = ExperimentConfig.of({"data": {"path": "nowhere"}, "task": "relations"})
    (path / "config.toml").write_text(config.to_toml(), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def sample_path() -> Path:
    """The directory of the embedded sample."""
    return Path(str(files("cotpd") / "sample"))
