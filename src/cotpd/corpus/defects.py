"""Problems in the files of a corpus, and how readers report them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from cotpd.core.errors import DataError


class Severity(StrEnum):
    """How serious a defect is.

    Attributes:
        ERROR: The file violates its format. Loading stops.
        WARNING: The file can be read, but results may suffer.
    """

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Defect:
    """A problem in a file.

    Attributes:
        kind: A short name such as ``"orphan-tag"``, by which defects are counted.
        where: The place, as ``file:line`` or ``file``.
        message: What is wrong, and what to do or what the reader did.
        severity: Error or warning.
    """

    kind: str
    where: str
    message: str
    severity: Severity = Severity.WARNING

    @classmethod
    def of(cls, error: DataError, kind: str = "unreadable") -> Defect:
        """Convert an exception to a defect of severity error."""
        return cls(kind, error.where, str(error).removeprefix(f"{error.where}: "), Severity.ERROR)


SKIPPED = frozenset(
    (
        "crosses-lines",
        "discontinuous",
        "lost-relation",
        "no-label",
        "not-accepted",
        "not-kept",
        "overlap",
        "space-in-mention",
        "unknown-key",
    )
)
"""The kinds of warnings about values that a reader skipped."""
DROPPED = "; skipped the entity"
"""The end of the message of other warnings about skipped values."""

DefectHandler = Callable[[Defect], None]
"""Receives each defect. `list.append` collects all of them; `RaiseOnError` stops at the first error."""


class RaiseOnError:
    """Defect handler that raises `DataError` for the first error.

    Attributes:
        warnings: The warnings received so far.
    """

    def __init__(self) -> None:
        self.warnings: list[Defect] = []

    def __call__(self, defect: Defect) -> None:
        """Store a warning, or raise an error."""
        if defect.severity is Severity.ERROR:
            raise DataError(defect.message, where=defect.where)
        self.warnings.append(defect)


def quote(text: str) -> str:
    """Quote a text for a message: shortened in the middle, with unprintable characters escaped."""
    short = text if len(text) <= 80 else f"{text[:40]}…{text[-30:]}"
    return ascii(short) if not short.isprintable() else repr(short)
