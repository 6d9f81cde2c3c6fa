"""Tiny students whose heads predict something in any text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cotpd.core.labels import Scheme
from cotpd.core.records import NO_RELATION
from cotpd.student.design import Design, PromptDesign
from cotpd.student.encoder import TextEncoder
from cotpd.student.student import Student
from cotpd.views.view import ViewKind

PROMPT = PromptDesign(heads=2, length=3)


@pytest.fixture(scope="session")
def make_loud(tiny_encoder: Path) -> Callable[[Design], Student]:
    """Build a tiny random student of a design."""

    def make(design: Design) -> Student:
        encoder, tokenizer = TextEncoder.from_pretrained(str(tiny_encoder))
        with torch.random.fork_rng():
            torch.manual_seed(1)
            student = Student(encoder, tokenizer, design)
            torch.nn.init.normal_(student.head.project.weight, std=0.8)
        return student.eval()

    return make


@pytest.fixture(scope="session")
def make_loud_student(make_loud: Callable[[Design], Student]) -> Callable[..., Student]:
    """Build a student for entities with a deployed view and a tag scheme."""

    def make(view: ViewKind = ViewKind.PROMPT, scheme: Scheme = "BIO") -> Student:
        prompt = PROMPT if view is ViewKind.PROMPT else None
        return make_loud(Design("entities", ("LOC", "ORG", "PER"), view, prompt, scheme=scheme))

    return make


@pytest.fixture(scope="session")
def student(make_loud_student: Callable[..., Student]) -> Student:
    """A student for entities that uses the prompt-enhanced view; tests must not change it."""
    return make_loud_student()


@pytest.fixture(scope="session")
def make_relation_student(make_loud: Callable[[Design], Student]) -> Callable[[], Student]:
    """Build a student for relations that uses the prompt-enhanced view."""
    labels = (NO_RELATION, "lives_in", "part_of")
    return lambda: make_loud(Design("relations", labels, ViewKind.PROMPT, PROMPT))
