"""A tiny student for tests."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cotpd.core.config import PromptConfig, StudentConfig, Task, ViewConfig
from cotpd.core.labels import LabelSet
from cotpd.core.splitting import Rule
from cotpd.student.encoder import TextEncoder
from cotpd.student.student import Design, Student
from cotpd.views.view import ViewKind


@pytest.fixture(scope="session")
def make_student(tiny_encoder: Path) -> Callable[..., Student]:
    """Build a tiny random student; keyword arguments change its prompt settings, or None leaves the prompts out."""

    def make(
        prompt: dict[str, Any] | None = None, *, plain: bool = False, task: Task = "entities", **student: Any
    ) -> Student:
        encoder, tokenizer = TextEncoder.from_pretrained(str(tiny_encoder))
        torch.manual_seed(1)
        design = Design(
            task=task,
            relations=("None", "/per/org/member_of", "/loc/loc/contain"),
            label_set=LabelSet.of(["LOC", "ORG", "PER"]),
            student=StudentConfig(encoder="tiny", **student),
            prompt=None if plain else PromptConfig(**{"heads": 2, "length": 3, **(prompt or {})}),
            views=ViewConfig(),
            ships=ViewKind.TEXT if plain else ViewKind.PROMPT,
            splitting=Rule.FINE,
        )
        return Student(encoder, tokenizer, design).eval()

    return make
