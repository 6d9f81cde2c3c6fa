"""Plain-text tables and the number format they use."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Align cells in columns two spaces apart: the first column left, the others right.

    Rows may have fewer cells than the header.
    """
    lines = [header, *rows]
    widths = [max(map(len, column)) for column in zip_longest(*lines, fillvalue="")]
    return "\n".join(_format_line(cells, widths) for cells in lines)


def percent(share: float) -> str:
    """Format a share between 0 and 1 in percent with two decimals."""
    return f"{100 * share:.2f}"


def _format_line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(cells, widths, strict=False)
    return "  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]).rstrip()
