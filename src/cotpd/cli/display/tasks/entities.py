"""The output of the command line for entities."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text

from cotpd.cli.display.terminal import printable

if TYPE_CHECKING:
    from cotpd.inference.extractor import Extraction


class EntityDisplay:
    """Entities are marked in their text."""

    demo_title: ClassVar[str] = "Five texts without labels, read as text only:"

    def marked_text(self, answer: dict[str, Any]) -> Text:
        """Return the text with each entity in brackets."""
        text, marked, end = answer["text"], Text(), 0
        for entity in answer.get("entities", ()):
            marked.append(printable(text[end : entity["start"]]))
            marked.append(f"[{printable(entity['word'])} ", style="bold")
            marked.append(f"{printable(entity['entity_group'])} {entity['score']:.2f}", style="cyan").append(
                "]", style="bold"
            )
            end = entity["end"]
        return marked.append(printable(text[end:]))

    def demo_lines(self, extraction: Extraction) -> Iterator[str]:
        """Yield the text, then its entities in one line."""
        entities = [f"{entity.word} ({entity.entity_group} {entity.score:.2f})" for entity in extraction.entities]
        yield f"  {extraction.text}"
        yield f"    {', '.join(entities) or '–'}"

    def command_after_training(self, run: Path, data: Path) -> list[str]:
        """Suggest extracting entities from a text."""
        return ["cotpd", "extract", str(run), "some text"]

    def commands_after_demo(self, out: Path) -> list[str]:
        """Suggest extracting, showing an example, evaluating, diagnosing, and eliciting knowledge."""
        student, baseline = out / "cotpd", out / "text"
        return [
            f'cotpd extract {student} "your own text"',
            f"cotpd show sample test-001 --run {student}",
            f"cotpd evaluate {student} sample --split test --against {baseline}",
            f"cotpd diagnose {student}",
            "cotpd elicit --help",
        ]
