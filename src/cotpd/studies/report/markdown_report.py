"""The report of a study as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from cotpd.evaluation.statistics.resampling import Interval
from cotpd.evaluation.table import percent
from cotpd.studies.report.results import Compared, NamesScore, Results, Row
from cotpd.studies.report.verdict import Verdict, remarks, verdict_of


def markdown_report(results: Results) -> str:
    """Tables of scores and comparisons, what failed, and the command beside each figure."""
    return "\n".join(_lines(results)) + "\n"


def headline(one: Compared) -> list[str]:
    """A comparison in short: its lead, its interval, p, what it rests on, and the share of the way."""
    seeds = one.num_seeds[0] if one.num_seeds[0] == one.num_seeds[1] else "{} and {}".format(*one.num_seeds)
    found = [
        f"{100 * one.lead:+.2f} F1",
        f"95 % interval {_interval(one.interval, sign='+')}",
        f"p = {one.p_value:.4f}, not corrected"
        if one.p_holm is None
        else f"p = {one.p_holm:.4f} after Holm's correction",
        f"seeds: {seeds}; {one.num_posts:,} posts of {one.on}",
    ]
    if one.share:
        found.append(f"share of the way: {_share(one)}")
    return found


def state_of_study(results: Results) -> str:
    """How far a study is, and what its comparisons come to."""
    found = [f"{results.num_finished} of {results.num_runs} runs finished."]
    if results.failures:
        found.append(f"{len(results.failures)} runs or comparisons failed, and figures that need them are missing.")
    if results.unfinished:
        found.append("The others are not made yet: the figures are of those that are finished.")
    counts = Counter(verdict_of(one) for one in results.compared)
    told = ", ".join(f"{counts[verdict]} {verdict.value}" for verdict in Verdict if counts[verdict])
    if results.compared:
        found.append(f"Of {len(results.compared)} comparisons: {told}.")
    else:
        found.append("Nothing could be compared, so the figures below describe and prove nothing.")
    return " ".join(found)


def explained(results: Results) -> tuple[str, ...]:
    """How the figures are made, in paragraphs."""
    return (
        f"Micro F1 in percent of exact entities or relations, mode {results.mode}: mean ± sample standard deviation "
        "over seeds. Every interval is one of 95 % over seeds and posts: how far the figure could move with other "
        "seeds and other posts of this kind.",
        f"Posts are drawn with replacement ({results.resamples:,} times, seed 0), the same for all runs; seeds add "
        "Student's t with one degree of freedom less than there are seeds, so that three seeds are not taken for many. "
        "Runs of the same seed are paired. A single seed says nothing of others.",
        "ahead, behind: the interval lies on one side of 0, and p (two-sided, from the same draws) is at most 0.05 "
        "after Holm's correction for all comparisons of this plan that decide. undecided: no difference was shown, "
        "which does not show that there is none. described: the plan asks for the figure, not for a verdict.",
        "The share of the way is (run − baseline) / (ceiling − baseline), without an interval where the ceiling may be "
        "no higher than the baseline.",
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
        f"{row.num_posts:,}",
    )


def names_table(rows: Sequence[Row]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The header and the rows of F1 by what training shows of an entity; no rows where nothing is told apart."""
    kinds = tuple(dict.fromkeys(kind for row in rows for kind in row.by_training))
    told = [row for row in rows if len(row.by_training) > 1]
    found = [(row.run, row.view, *(_names(row.by_training.get(kind)) for kind in kinds)) for row in told]
    return ("run", "view", *kinds), found


NAMES_TOLD = (
    "F1, and in brackets the number in gold: labelled names are entities of the posts that the run learns with labels, "
    "other ones of the corpus's other training posts, unseen ones of none."
)


def compared_cells(one: Compared) -> tuple[str, ...]:
    """The cells of a row of comparisons."""
    return (
        one.name,
        verdict_of(one).value,
        one.on,
        f"{100 * one.lead:+.2f}",
        _interval(one.interval, sign="+"),
        f"{one.p_value:.4f}",
        "–" if one.p_holm is None else f"{one.p_holm:.4f}",
        f"{one.num_seeds[0]} / {one.num_seeds[1]}",
        _share(one),
    )


def score_header(results: Results) -> tuple[str, ...]:
    """What `score_cells` hold."""
    other = "strict" if results.mode == "conlleval" else "conlleval"
    return ("run", "view", "F1", "95 % interval", f"F1, {other}", "seeds", "posts")


COMPARED_HEADER = ("comparison", "run is", "posts", "lead", "95 % interval", "p", "Holm", "seeds", "share of the way")


def _lines(results: Results) -> Iterator[str]:
    yield f"# {results.name}"
    if results.question:
        yield from ("", results.question)
    yield from ("", state_of_study(results), "")
    yield from (f"- {_sentence(one)}" for one in results.compared)
    if results.compared:
        yield from ("", "## Comparisons", "")
        yield from _table(COMPARED_HEADER, [compared_cells(one) for one in results.compared])
    for score in dict.fromkeys(row.score for row in results.rows):
        yield from ("", f"## Scores on {score}", "")
        rows = [row for row in results.rows if row.score == score]
        yield from _table(score_header(results), [score_cells(row) for row in rows])
        header, names = names_table(rows)
        if names:
            yield from ("", "### By what training shows of a name", "", NAMES_TOLD, "", *_table(header, names))
    if results.failures:
        yield from ("", "## What failed", "", *_told(results.failures))
    if results.unfinished:
        yield from ("", "## What is left", "", *_told(results.unfinished))
    told = {
        name: (["a control"] if name in results.controls else []) + [_line(note)]
        for name, note in results.notes.items()
    }
    yield from ("", "## The runs", "")
    yield from (f"- {name}" + ": ".join(["", *filter(None, texts)]) for name, texts in told.items())
    yield from ("", "## How the figures are made", "", "\n\n".join(explained(results)))
    commands = dict.fromkeys(command for row in results.rows for command in row.commands)
    yield from ("", "## Commands", "", "```bash", *dict.fromkeys([results.command, *commands]), "```")


def _told(reasons: Mapping[str, str]) -> Iterator[str]:
    return (f"- {name}: {_line(reason)}" for name, reason in reasons.items())


def _sentence(one: Compared) -> str:
    notes = "".join(f" ({remark})" for remark in remarks(one))
    return f"{_line(one.name)}: **{verdict_of(one).value}**, " + "; ".join(headline(one)) + "." + notes


def _names(score: NamesScore | None) -> str:
    return f"{percent(score.f1)} ({score.support:,.0f})" if score else "–"


def _share(one: Compared) -> str:
    if one.share is None:
        return ""
    if one.share.share is None:
        return f"none, for {one.ceiling} is no higher than the baseline"
    if one.share.interval is None:
        return f"{100 * one.share.share:.0f} % of {one.ceiling}, which may be no higher than the baseline"
    return f"{100 * one.share.share:.0f} % {_interval(one.share.interval, places=0)} of {one.ceiling}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield _cells(header)
    yield "|" + "---|" * len(header)
    yield from map(_cells, rows)


def _cells(values: Sequence[str]) -> str:
    return "| " + " | ".join(_line(value).replace("|", "\\|") for value in values) + " |"


def _line(text: str) -> str:
    """A text on one line."""
    return " ".join(text.split())


def _interval(interval: Interval, *, sign: str = "", places: int = 2) -> str:
    low, high = (f"{100 * bound:{sign}.{places}f}" for bound in interval)
    return f"[{low}, {high}]"
