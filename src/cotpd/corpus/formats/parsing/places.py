"""The places of the words of a file, in little memory."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import overload


class LinePlaces(Sequence[str]):
    """The ``file:line`` of each word of a post. Only the number of the line is stored for a word."""

    __slots__ = ("_numbers", "_path")

    def __init__(self, path: Path) -> None:
        self._path, self._numbers = path, array("Q")

    def append(self, where: str) -> None:
        """Add the place of the next word."""
        self._numbers.append(int(where.rpartition(":")[2]))

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [f"{self._path}:{number}" for number in self._numbers[index]]
        return f"{self._path}:{self._numbers[index]}"
