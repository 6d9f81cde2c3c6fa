"""The limit of one call of a language model: a deadline, and a way to abort the call from another thread."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic


class CallLimit:
    """A deadline for one call, which another thread can end earlier.

    A thread that waits for a server is only released if its socket breaks. So the code that opens a socket registers a
    function that breaks it.

    Args:
        seconds: Time from now to the deadline.
    """

    def __init__(self, seconds: float = math.inf) -> None:
        self.deadline = monotonic() + seconds
        self._lock = threading.Lock()
        self._abort: Callable[[], None] | None = None
        self._is_cancelled = False

    def cancel(self) -> None:
        """Abort the call now, or as soon as it opens a socket."""
        with self._lock:
            self._is_cancelled = True
            if self._abort:
                self._abort()

    def register(self, abort: Callable[[], None] | None) -> None:
        """Set the function that aborts the call, replacing an earlier one; None if there is nothing to abort."""
        with self._lock:
            self._abort = abort
            if abort and self._is_cancelled:
                abort()

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Make this the limit of all calls in this thread."""
        token = _CURRENT.set(self)
        try:
            yield
        finally:
            _CURRENT.reset(token)


_CURRENT: ContextVar[CallLimit | None] = ContextVar("call_limit", default=None)


def current_limit() -> CallLimit:
    """Return the limit of the calls in this thread; one without a deadline if none is set."""
    return _CURRENT.get() or CallLimit()
