"""A progress bar on stderr for verbs that ask a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cotpd.cli.display.counting_bar import CountingBar, format_pace

if TYPE_CHECKING:
    from cotpd.llm.asking.progress import AskingProgress


class LiveDisplay(CountingBar):
    """A bar with rate, remaining time, rejections, failures, and cost or tokens."""

    def show_asking(self, progress: AskingProgress, total: int) -> None:
        """Show the progress of a run of ``total`` questions."""
        pace = format_pace(progress.rate, progress.seconds_left(total))
        self.show(progress.done, total, progress_line(progress), pace=pace)


def progress_line(progress: AskingProgress) -> str:
    """Return rejections, failures, and the cost or else the tokens, in one line."""
    parts = [f"{progress.rejected:,} rejected"]
    if progress.failed:
        parts.append(f"{progress.failed:,} failed")
    num_tokens = progress.prompt_tokens + progress.completion_tokens
    parts.append(f"{num_tokens:,} tokens" if progress.cost is None else f"cost {progress.cost:.4f}")
    return "  ".join(parts)
