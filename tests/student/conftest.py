"""A tiny student for tests."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cotpd.core.config import Task
from cotpd.student.design import Design, PromptDesign
from cotpd.student.encoder import TextEncoder
from cotpd.student.student import Student
from cotpd.views.view import ViewKind

LABELS: dict[Task, tuple[str, ...]] = {
    "entities": ("LOC", "ORG", "PER"),
    "relations": ("None", "/per/org/member_of", "/loc/loc/contain"),
}


@pytest.fixture(scope="session")
def make_student(tiny_encoder: Path) -> Callable[..., Student]:
    """Build a tiny random student; ``prompt`` changes the design of its prompts, ``plain`` omits them."""

    def make(prompt: dict[str, Any] | None = None, *, plain: bool = False, task: Task = "entities") -> Student:
        encoder, tokenizer = TextEncoder.from_pretrained(str(tiny_encoder))
        torch.manual_seed(1)
        design = Design(
            task=task,
            labels=LABELS[task],
            deployed_view=ViewKind.TEXT if plain else ViewKind.PROMPT,
            prompt=None if plain else PromptDesign(**{"heads": 2, "length": 3, **(prompt or {})}),
            encoder="tiny",
        )
        return Student(encoder, tokenizer, design).eval()

    return make
