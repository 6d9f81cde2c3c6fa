"""What tests of the command line share."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest


@pytest.fixture
def when_waiting(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[Callable[[], None]], None]]:
    """Have something done when a command begins to wait for another that writes its store: the end of that one."""
    log, ends = logging.getLogger("cotpd.llm.store.sqlite_file"), []
    caplog.set_level(logging.INFO, log.name)

    def end(record: logging.LogRecord) -> bool:
        if "waiting for" in record.msg:
            ends.pop()()
        return True

    log.addFilter(end)
    yield ends.append
    log.removeFilter(end)
