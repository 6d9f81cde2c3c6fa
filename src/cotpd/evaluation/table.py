"""Plain text tables, and numbers as tables show them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns two spaces apart, the first to the left and the others to the right; short rows end early."""
    lines = [header, *rows]
    widths = [max(map(len, column)) for column in zip_longest(*lines, fillvalue="")]
    return "\n".join(_line(cells, widths) for cells in lines)


def percent(share: float) -> str:
    """A share from 0 to 1 in percent, to two places."""
    return f"{100 * share:.2f}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(cells, widths, strict=False)
    return "  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]).rstrip()
