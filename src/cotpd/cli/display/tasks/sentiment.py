"""The output of the command line for target sentiment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text

from cotpd.cli.display.tasks.entities import EntityDisplay
from cotpd.cli.display.terminal import printable

if TYPE_CHECKING:
    from cotpd.inference.sentiment_extractor import SentimentExtraction


class SentimentDisplay:
    """Sentiments are printed below their text, one target per line."""

    demo_title: ClassVar[str] = "Texts without labels, with marked targets, read as text only:"

    def marked_text(self, answer: dict[str, Any]) -> Text:
        """Return the text with the entities that another run found, and a line for each target."""
        marked = EntityDisplay().marked_text(answer)
        for sentiment in answer["sentiments"]:
            marked.append(f"\n  {printable(sentiment['target']['word'])}  ")
            marked.append(f"{printable(sentiment['label'])} {sentiment['score']:.2f}", style="cyan")
        return marked

    def demo_lines(self, extraction: SentimentExtraction) -> Iterator[str]:
        """Yield the text, then a line for each target."""
        yield f"  {extraction.text}"
        for mention in extraction.sentiments:
            yield f"    {mention.target.word}  {mention.label} {mention.score:.2f}"

    def command_after_training(self, run: Path, data: Path) -> list[str]:
        """Suggest evaluating, because extraction needs marked targets."""
        return ["cotpd", "evaluate", str(run), str(data), "--split", "dev"]

    def commands_after_demo(self, out: Path) -> list[str]:
        """Suggest nothing: the sample corpus has no sentiments."""
        return []
