"""The answers of `cotpd extract --human`: text with marked entities, and a line for each relation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rich.text import Text

from cotpd.cli.display.terminal import printable


def marked_answer(answer: dict[str, Any]) -> Text:
    """Return an answer as text for a terminal."""
    marked = _marked_entities(answer["text"], answer.get("entities", ()))
    for key, lines in _LINES.items():
        for line in lines(answer.get(key, ())):
            marked.append("\n  ").append_text(line)
    return marked


def _marked_entities(text: str, entities: Sequence[dict[str, Any]]) -> Text:
    marked, end = Text(), 0
    for entity in entities:
        marked.append(printable(text[end : entity["start"]]))
        marked.append(f"[{printable(entity['word'])} ", style="bold")
        marked.append(f"{entity['entity_group']} {entity['score']:.2f}", style="cyan").append("]", style="bold")
        end = entity["end"]
    return marked.append(printable(text[end:]))


def _relation_lines(relations: Sequence[dict[str, Any]]) -> Iterator[Text]:
    for pair in relations:
        line = Text(f"{printable(pair['head']['word'])} → {printable(pair['tail']['word'])}  ")
        yield line.append(f"{pair['label']} {pair['score']:.2f}", style="cyan")


_LINES: dict[str, Callable[[Sequence[dict[str, Any]]], Iterator[Text]]] = {"relations": _relation_lines}
"""What is printed below the text, by the key of the answer. Entities are marked in the text."""
