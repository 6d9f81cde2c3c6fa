"""When a study will be done, from the runs that are: progress is watched, and time is handed in."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from cotpd.distillation.progress import Progress


@dataclass(frozen=True, slots=True)
class StudyProgress:
    """Where a study stands. ``run``: what is made now; ``training``: its state, None as it begins and ends.

    ``seconds_left``: an estimate; None before the first update of the first run.
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
    """Durations of runs by name: those of other seeds, else of other runs, else what the present one will take."""

    clock: Callable[[], float] = time.monotonic
    _known: dict[str, list[float]] = field(default_factory=dict)
    _begun: tuple[float, int] | None = None
    _now: Progress | None = None

    def learn(self, name: str, seconds: float) -> None:
        """A run of this name took so long."""
        self._known.setdefault(name, []).append(seconds)

    def begin(self) -> None:
        """A run begins."""
        self._begun, self._now = None, None

    def watch(self, progress: Progress) -> None:
        """The present run made updates."""
        if self._begun is None:
            self._begun = self.clock(), progress.step
        self._now = progress

    def seconds_left(self, name: str, waiting: Iterable[str]) -> float | None:
        """The rest of the present run, called ``name``, and all of those that wait."""
        pace = self._seconds_per_step()
        whole = pace * self._now.num_steps if pace is not None and self._now else None
        known = [sum(found) / len(found) for found in self._known.values()]
        typical = sum(known) / len(known) if known else whole
        if typical is None:
            return None
        rest = pace * (self._now.num_steps - self._now.step) if pace is not None and self._now else None
        times = [self._mean(other, typical) for other in waiting]
        return sum(times) + (self._mean(name, typical) if rest is None else rest)

    def _mean(self, name: str, otherwise: float) -> float:
        found = self._known.get(name)
        return sum(found) / len(found) if found else otherwise

    def _seconds_per_step(self) -> float | None:
        if self._begun is None or self._now is None:
            return None
        since, step = self._begun
        steps = self._now.step - step
        return (self.clock() - since) / steps if steps > 0 else None
