"""Why a language model gave no answer, and what follows from it."""

from __future__ import annotations

from enum import StrEnum

from cotpd.core.errors import LanguageModelError


class Fault(StrEnum):
    """What kind of failure it was: it decides who is asked again, and when."""

    BUSY = "busy"
    """The endpoint says that it is asked too much (429, 503, 529): everybody waits, and fewer ask at once."""
    BROKEN = "broken"
    """This once it failed (5xx, a time-out, a reset, a body that is no answer): worth another attempt."""
    ABSENT = "absent"
    """Nobody listens there: final, unless it has answered before."""
    REFUSED = "refused"
    """It will not answer this request (400, 413, 422): the others go on."""
    UNKNOWN = "unknown"
    """A recording does not hold this answer: the others go on."""
    FINAL = "final"
    """It will not answer any (401, 403, 404, a spent quota, a redirect): the run stops."""


class CallError(LanguageModelError):
    """One attempt failed. ``retry_after``: seconds that the endpoint asks to wait, None where it names none.

    ``spent``: the tokens to read and to write that it is billed for all the same; 0 and 0 where it may be, and nobody
    tells, None where it cost nothing.
    """

    def __init__(
        self, message: str, fault: Fault, *, retry_after: float | None = None, spent: tuple[int, int] | None = None
    ) -> None:
        super().__init__(message)
        self.fault = fault
        self.retry_after = retry_after
        self.spent = spent
