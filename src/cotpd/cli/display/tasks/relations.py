"""The output of the command line for relations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text

from cotpd.cli.display.tasks.entities import EntityDisplay
from cotpd.cli.display.terminal import printable

if TYPE_CHECKING:
    from cotpd.inference.relation_extractor import RelationExtraction


class RelationDisplay:
    """Relations are printed below their text, one per line. Entities that another run found are marked in the text."""

    demo_title: ClassVar[str] = "Five texts without labels, all pairs of their entities read from text only:"

    def marked_text(self, answer: dict[str, Any]) -> Text:
        """Return the text with each entity in brackets, and a line for each relation."""
        marked = EntityDisplay().marked_text(answer)
        for pair in answer["relations"]:
            marked.append(f"\n  {printable(pair['head']['word'])} → {printable(pair['tail']['word'])}  ")
            marked.append(f"{printable(pair['label'])} {pair['score']:.2f}", style="cyan")
        return marked

    def demo_lines(self, extraction: RelationExtraction) -> Iterator[str]:
        """Yield the text, then a line for each relation."""
        yield f"  {extraction.text}"
        for pair in extraction.relations:
            yield f"    {pair.head.word} → {pair.tail.word}  {pair.label} {pair.score:.2f}"
        if not extraction.relations:
            yield f"    – ({len(extraction.pairs)} pairs)"

    def command_after_training(self, run: Path, data: Path) -> list[str]:
        """Suggest evaluating, because extraction needs marked entities."""
        return ["cotpd", "evaluate", str(run), str(data), "--split", "dev"]

    def commands_after_demo(self, out: Path) -> list[str]:
        """Suggest extracting with the entities of the other demonstration, showing an example, and evaluating."""
        student, baseline, finder = out / "relations-cotpd", out / "relations-text", out / "cotpd"
        if (finder / "model").is_dir():
            extract = f'cotpd extract {student} --entities-from {finder} "your own text"'
        else:
            extract = f"cotpd demo --out {out}, for a run that finds the entities of `cotpd extract --entities-from`"
        return [
            extract,
            f"cotpd show sample test-001 --run {student}",
            f"cotpd evaluate {student} sample --split test --against {baseline}",
            f"cotpd evaluate {student} sample --split test --all-pairs",
        ]
