"""Tables of the HTML report, and the commands below them; all text is escaped."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

_NUMBER = re.compile(r"[+−-]?\d[\d,.]*( ± [\d.]+| \([\d,]+\))?|\[.*\]|–|\d+ / \d+")


class Cell(NamedTuple):
    """Text with the class of its cell, and a badge behind it."""

    text: str
    kind: str = ""
    badge: str = ""


def table(header: Sequence[str], rows: Sequence[Sequence[Cell]], *, name: str) -> str:
    """A table whose first column names the rows; numbers stand at the right. It scrolls where it is too wide."""
    is_number = [all(_NUMBER.fullmatch(row[n].text) for row in rows) for n in range(len(header))]
    head = "".join(
        f'<th scope="col"{_class("number" if is_number[n] else "")}>{escape(text)}</th>'
        for n, text in enumerate(header)
    )
    body = "".join(f"<tr>{_row(row, is_number)}</tr>" for row in rows)
    label = escape(f"table of {name}", quote=True)
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{label}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def commands(lines: Sequence[str]) -> str:
    """What remakes the figures above, folded."""
    shown = "\n".join(escape(line) for line in dict.fromkeys(lines))
    return f'<details><summary>remade by</summary><pre tabindex="0">{shown}</pre></details>'


def _row(row: Sequence[Cell], is_number: Sequence[bool]) -> str:
    first, *others = row
    badge = f' <span class="control">{escape(first.badge)}</span>' if first.badge else ""
    cells = [f'<th scope="row">{escape(first.text)}{badge}</th>']
    for cell, numeric in zip(others, is_number[1:], strict=True):
        kinds = " ".join(kind for kind in (cell.kind, "number" if numeric else "") if kind)
        cells.append(f"<td{_class(kinds)}>{escape(cell.text)}</td>")
    return "".join(cells)


def _class(kinds: str) -> str:
    return f' class="{kinds}"' if kinds else ""
