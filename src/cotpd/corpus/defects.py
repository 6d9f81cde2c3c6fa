"""What is wrong or worth knowing in a corpus: one record for all of it, and what readers do when they meet one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from cotpd.core.errors import DataError


class Severity(StrEnum):
    """``error``: the file breaks its format, and loading stops. ``warning``: it can be read; results may suffer."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Defect:
    """One defect: what kind, where (``file:line`` or ``file``), and what to know or do about it."""

    kind: str
    where: str
    message: str
    severity: Severity = Severity.WARNING

    @classmethod
    def of(cls, error: DataError, kind: str = "unreadable") -> Defect:
        """The defect that an error of a file is."""
        return cls(kind, error.where, str(error).removeprefix(f"{error.where}: "), Severity.ERROR)


Report = Callable[[Defect], None]
"""What a reader tells each defect to: `list.append` goes on, `Strict` stops at the first error."""


class Strict:
    """Keep warnings in ``warnings`` and raise `DataError` for the first error."""

    def __init__(self) -> None:
        self.warnings: list[Defect] = []

    def __call__(self, defect: Defect) -> None:
        """Keep or raise."""
        if defect.severity is Severity.ERROR:
            raise DataError(defect.message, where=defect.where)
        self.warnings.append(defect)


def quoted(text: str) -> str:
    """A text of a file as a message shows it: in quotes, its middle left out where it is long, fit for a terminal."""
    short = text if len(text) <= 80 else f"{text[:40]}…{text[-30:]}"
    return ascii(short) if not short.isprintable() else repr(short)
