"""The error of one failed attempt, and the kind of failure that decides what happens next."""

from __future__ import annotations

from enum import StrEnum

from cotpd.core.errors import LanguageModelError


class Fault(StrEnum):
    """The kind of a failure. It decides whether the request is repeated and whether the run goes on."""

    BUSY = "busy"
    """The endpoint is overloaded (status 429, 503 or 529). The run waits and lowers its concurrency."""
    LOADING = "loading"
    """The endpoint is loading the model. The run waits for it, without counting attempts."""
    TRANSIENT = "transient"
    """This attempt failed (5xx, a time-out, a reset, a malformed body). The request is repeated."""
    UNREACHABLE = "unreachable"
    """The connection failed. The run stops, unless the endpoint has answered before."""
    REFUSED = "refused"
    """The endpoint refuses this request (status 400, 413, 422). The request ends; the run goes on."""
    NOT_RECORDED = "not recorded"
    """A recording has no answer to this request. The request ends; the run goes on."""
    FATAL = "fatal"
    """The endpoint refuses every request (status 401, 403, 404, an exhausted quota, a redirect). The run stops."""


class CallError(LanguageModelError):
    """One attempt to get an answer failed.

    Attributes:
        fault: The kind of the failure.
        retry_after: Seconds that the endpoint asks to wait; None if it names no time.
        spent: Prompt and completion tokens that are billed for the failed attempt. ``(0, 0)`` means that the attempt
            may be billed and the number of tokens is unknown; None means that it costs nothing.
    """

    def __init__(
        self, message: str, fault: Fault, *, retry_after: float | None = None, spent: tuple[int, int] | None = None
    ) -> None:
        super().__init__(message)
        self.fault = fault
        self.retry_after = retry_after
        self.spent = spent
