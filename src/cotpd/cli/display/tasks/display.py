"""The interface between a task and the output of the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from rich.text import Text

ExtractionT = TypeVar("ExtractionT", contravariant=True)


class TaskDisplay(Protocol[ExtractionT]):
    """The texts of one task.

    Attributes:
        demo_title: The line above the extractions of `cotpd demo`.
    """

    demo_title: ClassVar[str]

    def marked_text(self, answer: dict[str, Any]) -> Text:
        """Return an answer of `cotpd extract` as marked text for a terminal."""

    def demo_lines(self, extraction: ExtractionT) -> Iterator[str]:
        """Yield the lines of one extraction of `cotpd demo`."""

    def command_after_training(self, run: Path, data: Path) -> list[str]:
        """Return the arguments of the command that `cotpd distill` suggests next."""

    def commands_after_demo(self, out: Path) -> list[str]:
        """Return the commands that `cotpd demo` suggests next."""
