"""Columns of lines: which layout the lines of a file share, and how a line that differs is split."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from cotpd.core.labels import is_tag

_SPACES, _TABS = re.compile(" +"), re.compile("\t+")
_SAMPLE = 2000
"""The number of lines from which a layout is detected."""
_OTHER_LINES = ("-DOCSTART-", "IMGID:")


class ColumnLayout(NamedTuple):
    """The columns that the lines of a file share.

    Attributes:
        width: The number of columns, or 4 for a file without words.
        has_cells: Whether every tab separates two columns. Otherwise several tabs may align columns.
    """

    width: int
    has_cells: bool

    @classmethod
    def of(cls, lines: Iterable[str]) -> ColumnLayout:
        """Detect the most common layout of lines. Blank lines, comments and document lines are skipped."""
        rows = list(islice(_rows_of_words(lines), _SAMPLE))
        cells = {len(_cells(row)) for row in rows if "\t" in row}
        has_cells = len(cells) == 1
        widths = Counter(len(_cells(row) if has_cells and "\t" in row else _merged(row)) for row in rows)
        return cls(widths.most_common(1)[0][0] if widths else 4, has_cells)

    def split(self, line: str) -> list[str]:
        """Split a line into columns. Between tabs, a column may be empty or contain spaces.

        A line that begins with white space and lacks one column has an empty first column.
        """
        line = line.rstrip(" \t")
        cells, merged = _cells(line), _merged(line)
        if "\t" not in line:
            return ["", *merged] if line.startswith(" ") and len(merged) == self.width - 1 else merged
        ways = [cells, merged] if self.has_cells else [merged, cells]
        return next((columns for columns in ways if len(columns) == self.width), cells if line[0] == "\t" else merged)

    def join_word(self, columns: list[str], word: int) -> list[str]:
        """Join the surplus columns of a line between spaces into its word, which contains spaces itself."""
        surplus = len(columns) - self.width
        first = word % self.width
        return [*columns[:first], " ".join(columns[first : first + surplus + 1]), *columns[first + surplus + 1 :]]


def _rows_of_words(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines with words. A line that begins with ``#`` has one if it ends with a tag."""
    for line in lines:
        row = line.rstrip(" \t")
        is_comment = row.startswith("#") and not is_tag(re.split("[ \t]", row)[-1])
        if row and not is_comment and not row.startswith(_OTHER_LINES):
            yield row


def _cells(line: str) -> list[str]:
    return [cell.strip(" ") for cell in line.split("\t")]


def _merged(line: str) -> list[str]:
    stripped = line.strip(" \t")
    return [cell.strip(" ") for cell in _TABS.split(stripped)] if "\t" in stripped else _SPACES.split(stripped)
