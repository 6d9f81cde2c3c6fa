"""A tiny student with a head loud enough to find entities in any text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cotpd.core.config import PromptConfig, StudentConfig, ViewConfig
from cotpd.core.labels import LabelSet
from cotpd.core.records import NO_RELATION
from cotpd.core.splitting import Rule
from cotpd.student.encoder import TextEncoder
from cotpd.student.student import Design, Student
from cotpd.views.view import ViewKind


@pytest.fixture(scope="session")
def make_loud_student(tiny_encoder: Path) -> Callable[..., Student]:
    """Build a tiny random student of a view; keyword arguments are those of its settings."""

    def make(ships: ViewKind = ViewKind.PROMPT, **settings: Any) -> Student:
        encoder, tokenizer = TextEncoder.from_pretrained(str(tiny_encoder))
        with torch.random.fork_rng():
            torch.manual_seed(1)
            student = Student(
                encoder,
                tokenizer,
                Design(
                    label_set=LabelSet.of(["LOC", "ORG", "PER"], settings.get("scheme", "BIO")),
                    student=StudentConfig(encoder="tiny", **settings),
                    prompt=PromptConfig(heads=2, length=3) if ships is ViewKind.PROMPT else None,
                    views=ViewConfig(),
                    ships=ships,
                    splitting=Rule.FINE,
                ),
            )
            torch.nn.init.normal_(student.head.project.weight, std=0.8)
        return student.eval()

    return make


@pytest.fixture(scope="session")
def student(make_loud_student: Callable[..., Student]) -> Student:
    """One that ships the prompt-enhanced view; not to be changed."""
    return make_loud_student()


@pytest.fixture(scope="session")
def make_relation_student(tiny_encoder: Path) -> Callable[..., Student]:
    """Build a tiny random student of relations that ships the prompt-enhanced view; its head is loud."""

    def make(**settings: Any) -> Student:
        encoder, tokenizer = TextEncoder.from_pretrained(str(tiny_encoder))
        with torch.random.fork_rng():
            torch.manual_seed(1)
            student = Student(
                encoder,
                tokenizer,
                Design(
                    task="relations",
                    label_set=LabelSet.of(["LOC", "ORG", "PER"]),
                    relations=(NO_RELATION, "lives_in", "part_of"),
                    student=StudentConfig(encoder="tiny", **settings),
                    prompt=PromptConfig(heads=2, length=3),
                    views=ViewConfig(),
                    ships=ViewKind.PROMPT,
                    splitting=Rule.FINE,
                ),
            )
            torch.nn.init.normal_(student.head.project.weight, std=0.8)
        return student.eval()

    return make
