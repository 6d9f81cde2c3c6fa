"""The progress of a study, with an estimate of the time left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from cotpd.distillation.progress import Progress


@dataclass(frozen=True, slots=True)
class StudyProgress:
    """The state of a study.

    Attributes:
        run: The id of the current run.
        num_done: The number of finished runs.
        num_failed: The number of failed runs.
        num_runs: The number of all runs.
        seconds_left: The estimated time left, or None before the first update of the first run.
        training: The state of the current training, or None before its first update.
    """

    run: str
    num_done: int
    num_failed: int
    num_runs: int
    seconds_left: float | None
    training: Progress | None = None


StudyListener = Callable[[StudyProgress], None]


@dataclass(slots=True)
class Forecast:
    """An estimate of the time left, from the durations of finished runs and the speed of the current run.

    The expected duration of a run is that of runs with the same name and other seeds; without such runs, that of the
    average run; without any finished run, that of the current run.
    """

    clock: Callable[[], float] = time.monotonic
    _durations: dict[str, list[float]] = field(default_factory=dict)
    _start: tuple[float, int] | None = None
    _current: Progress | None = None

    def record_duration(self, name: str, seconds: float) -> None:
        """Record how long a run of this name took."""
        self._durations.setdefault(name, []).append(seconds)

    def start_run(self) -> None:
        """Forget the pace of the previous run."""
        self._start, self._current = None, None

    def update(self, progress: Progress) -> None:
        """Record the progress of the current run."""
        if self._start is None:
            self._start = self.clock(), progress.step
        self._current = progress

    def seconds_left(self, name: str, waiting: Iterable[str]) -> float | None:
        """Estimate the time for the rest of the current run, called ``name``, and for all waiting runs."""
        pace = self._seconds_per_step()
        total = pace * self._current.num_steps if pace is not None and self._current else None
        known = [sum(durations) / len(durations) for durations in self._durations.values()]
        typical = sum(known) / len(known) if known else total
        if typical is None:
            return None
        current = self._current
        rest = pace * (current.num_steps - current.step) if pace is not None and current else None
        expected = [self._expected(other, typical) for other in waiting]
        return sum(expected) + (self._expected(name, typical) if rest is None else rest)

    def _expected(self, name: str, default: float) -> float:
        durations = self._durations.get(name)
        return sum(durations) / len(durations) if durations else default

    def _seconds_per_step(self) -> float | None:
        if self._start is None or self._current is None:
            return None
        since, step = self._start
        num_steps = self._current.step - step
        return (self.clock() - since) / num_steps if num_steps > 0 else None
