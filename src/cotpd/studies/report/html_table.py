"""HTML tables and command listings of the report, with all text escaped."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

_NUMBER = re.compile(r"[+−-]?\d[\d,.]*( ± [\d.]+| \([\d,]+\))?|\[.*\]|–|\d+ / \d+")


class TableCell(NamedTuple):
    """The text of a cell, its CSS class, and a badge after the text."""

    text: str
    kind: str = ""
    badge: str = ""


def table(header: Sequence[str], rows: Sequence[Sequence[TableCell]], *, name: str) -> str:
    """Format a table. The first column has row headers, and numeric columns are right-aligned."""
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
    """Format a collapsed listing of the commands that reproduce the figures above it."""
    shown = "\n".join(escape(line) for line in dict.fromkeys(lines))
    return f'<details><summary>reproduce with</summary><pre tabindex="0">{shown}</pre></details>'


def _row(row: Sequence[TableCell], is_number: Sequence[bool]) -> str:
    first, *others = row
    badge = f' <span class="control">{escape(first.badge)}</span>' if first.badge else ""
    cells = [f'<th scope="row">{escape(first.text)}{badge}</th>']
    for cell, numeric in zip(others, is_number[1:], strict=True):
        kinds = " ".join(kind for kind in (cell.kind, "number" if numeric else "") if kind)
        cells.append(f"<td{_class(kinds)}>{escape(cell.text)}</td>")
    return "".join(cells)


def _class(kinds: str) -> str:
    return f' class="{kinds}"' if kinds else ""
