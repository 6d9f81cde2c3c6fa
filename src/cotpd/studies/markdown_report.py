"""The report of a study as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cotpd.evaluation.resampling import Interval
from cotpd.evaluation.table import percent
from cotpd.studies.results import Compared, Results, Row


def markdown_report(results: Results) -> str:
    """Tables of scores and comparisons, what failed, and the command beside each figure."""
    return "\n".join(_lines(results)) + "\n"


def explained(results: Results) -> str:
    """How the figures are made, in one paragraph."""
    return (
        f"Micro F1 in percent, exact entities or relations, mode {results.mode}. Mean ± sample standard deviation over "
        f"seeds; 95 % intervals by a hierarchical bootstrap over seeds and posts ({results.resamples:,} resamples, "
        "seed 0), which with fewer than five seeds are somewhat too short. p: two-sided, from the same bootstrap, "
        "paired over posts; Holm: corrected for all comparisons of this plan."
    )


def score_cells(row: Row) -> tuple[str, ...]:
    """The cells of a row of scores."""
    deviation = "" if row.deviation is None else f" ± {percent(row.deviation)}"
    return (
        row.run,
        f"{row.view} (ships)" if row.ships else row.view,
        f"{percent(row.mean)}{deviation}",
        _interval(row.interval),
        percent(row.other_mode),
        str(len(row.values)),
    )


def compared_cells(one: Compared) -> tuple[str, ...]:
    """The cells of a row of comparisons."""
    share = ""
    if one.share:
        value = "–" if one.share.share is None else f"{100 * one.share.share:.0f} %"
        bounds = "–" if one.share.interval is None else _interval(one.share.interval, places=0)
        share = f"{value} {bounds} of {one.ceiling}"
    return (
        one.name,
        one.on,
        f"{100 * one.lead:+.2f}",
        _interval(one.interval, sign="+"),
        f"{one.p_value:.4f}",
        f"{one.p_holm:.4f}",
        f"{one.num_seeds[0]} / {one.num_seeds[1]}",
        share,
    )


def score_header(results: Results) -> tuple[str, ...]:
    """What `score_cells` hold."""
    other = "strict" if results.mode == "conlleval" else "conlleval"
    return ("run", "view", "F1", "95 % interval", f"F1, {other}", "seeds")


COMPARED_HEADER = ("comparison", "posts", "lead", "95 % interval", "p", "Holm", "seeds", "share of the way")


def _lines(results: Results) -> Iterator[str]:
    yield f"# {results.name}"
    if results.question:
        yield from ("", results.question)
    yield from ("", explained(results), "", f"Remade by `{results.command}`.")
    for score in dict.fromkeys(row.score for row in results.rows):
        rows = [row for row in results.rows if row.score == score]
        yield from ("", f"## {score}: {rows[0].num_posts:,} posts", "")
        yield from _table(score_header(results), [score_cells(row) for row in rows])
    if results.compared:
        yield from ("", "## Comparisons", "")
        yield from _table(COMPARED_HEADER, [compared_cells(one) for one in results.compared])
    if results.failures:
        yield from ("", "## What failed", "", *(f"- {name}: {reason}" for name, reason in results.failures.items()))
    if results.notes:
        yield from ("", "## The runs", "", *(f"- {name}: {note}" for name, note in results.notes.items()))
    commands = dict.fromkeys(command for row in results.rows for command in row.commands)
    yield from ("", "## Commands", "", "```bash", *commands, "```")


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield _cells(header)
    yield "|" + "---|" * len(header)
    yield from map(_cells, rows)


def _cells(values: Sequence[str]) -> str:
    return "| " + " | ".join(value.replace("|", "\\|") for value in values) + " |"


def _interval(interval: Interval, *, sign: str = "", places: int = 2) -> str:
    low, high = (f"{100 * bound:{sign}.{places}f}" for bound in interval)
    return f"[{low}, {high}]"
