"""The sentences and table cells that the Markdown and the HTML report share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from cotpd.evaluation.matching import DEFAULT_MODE
from cotpd.evaluation.statistics.resampling import Interval
from cotpd.evaluation.table import percent
from cotpd.studies.report.results import RESAMPLES, ComparisonResult, EntityGroupScore, Results, ScoreRow
from cotpd.studies.report.verdict import ComparisonVerdict, verdict_of

SCORE_HEADER = ("run", "view", "F1", "95 % interval", "F1, strict", "seeds", "posts")

COMPARISON_HEADER = ("comparison", "verdict", "scores", "lead", "95 % interval", "p", "p (Holm)", "seeds", "gap closed")

BY_TRAINING_TITLE = "By occurrence of the entity in the training set"
BY_TRAINING_NOTE = (
    "F1, with the number of entities in gold in brackets. labelled: the entity occurs in the labelled training "
    "examples of the run; other: only in other training examples of the corpus; unseen: in none."
)

EXPLANATION = (
    f"Scores are micro F1 in percent over exact entities or relations, in the mode {DEFAULT_MODE}: mean ± sample "
    "standard deviation over seeds. Every interval is a 95 % interval over seeds and posts. It shows how much the "
    "figure could change with other seeds and other posts of the same kind.",
    f"The intervals come from {RESAMPLES:,} bootstrap samples of posts (seed 0), which are the same for all runs, and "
    "from Student's t over seeds with one degree of freedom less than there are seeds. Runs of the same seed are "
    "paired. A single seed shows nothing about other seeds.",
    "A side is ahead or behind if the interval lies on one side of 0 and p (two-sided, from the same samples) is at "
    "most 0.05 after Holm's correction for all comparisons of the plan that are not descriptive. undecided means that "
    "no difference was shown, which does not show that there is none. described means that the plan asks for no "
    "verdict.",
    "The gap closed is (run − baseline) / (ceiling − baseline). It has no interval if the ceiling may be no higher "
    "than the baseline.",
)
"""How the figures are computed, in paragraphs."""


def headline(one: ComparisonResult) -> list[str]:
    """Summarise a comparison: its lead, interval, p-value, data and the gap closed."""
    is_corrected = one.p_holm is not None
    parts = [
        f"{100 * one.lead:+.2f} F1",
        f"95 % interval {_interval(one.interval, sign='+')}",
        f"p = {one.p_holm:.4f} after Holm's correction" if is_corrected else f"p = {one.p_value:.4f}, not corrected",
        f"{one.num_seeds} {'seed' if one.num_seeds == 1 else 'seeds'}, {one.num_posts:,} posts of {one.on}",
    ]
    if one.gap_closed:
        parts.append(f"gap closed: {_gap_closed(one)}")
    return parts


def progress_summary(results: Results) -> str:
    """Summarise how many runs are finished, and the verdicts of the comparisons."""
    sentences = [f"{results.num_finished} of {results.num_runs} runs finished."]
    if results.failures:
        sentences.append(f"Failures: {len(results.failures)}; the figures that need them are missing.")
    if results.unfinished:
        sentences.append("The other runs are not finished yet, and the figures do not include them.")
    counts = Counter(verdict_of(one) for one in results.compared)
    verdicts = ", ".join(f"{counts[verdict]} {verdict.value}" for verdict in ComparisonVerdict if counts[verdict])
    if results.compared:
        sentences.append(f"Comparisons: {verdicts}.")
    else:
        sentences.append("There is no comparison, so the figures below are only descriptive.")
    return " ".join(sentences)


def score_cells(row: ScoreRow) -> tuple[str, ...]:
    """Return the cells of a row of scores, under `SCORE_HEADER`."""
    deviation = "" if row.deviation is None else f" ± {percent(row.deviation)}"
    return (
        row.run,
        f"{row.view} (deployed)" if row.is_deployed else row.view,
        f"{percent(row.mean)}{deviation}",
        _interval(row.interval),
        percent(row.strict_mean),
        str(len(row.values)),
        f"{row.num_posts:,}",
    )


def comparison_cells(one: ComparisonResult) -> tuple[str, ...]:
    """Return the cells of a row of comparisons, under `COMPARISON_HEADER`."""
    return (
        one.name,
        verdict_of(one).value,
        one.on,
        f"{100 * one.lead:+.2f}",
        _interval(one.interval, sign="+"),
        f"{one.p_value:.4f}",
        "–" if one.p_holm is None else f"{one.p_holm:.4f}",
        str(one.num_seeds),
        _gap_closed(one),
    )


def by_training_table(rows: Sequence[ScoreRow]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the header and the rows of scores by occurrence in the training set; no rows for a single group."""
    groups = tuple(dict.fromkeys(group for row in rows for group in row.by_training))
    divided = [row for row in rows if len(row.by_training) > 1]
    cells = [(row.run, row.view, *(_group_score(row.by_training.get(group)) for group in groups)) for row in divided]
    return ("run", "view", *groups), cells


def _group_score(score: EntityGroupScore | None) -> str:
    return f"{percent(score.f1)} ({score.support:,.0f})" if score else "–"


def _gap_closed(one: ComparisonResult) -> str:
    if one.gap_closed is None:
        return ""
    if one.gap_closed.share is None:
        return f"none, because {one.ceiling} is no higher than the baseline"
    if one.gap_closed.interval is None:
        return f"{100 * one.gap_closed.share:.0f} % of {one.ceiling}, which may be no higher than the baseline"
    return f"{100 * one.gap_closed.share:.0f} % {_interval(one.gap_closed.interval, places=0)} of {one.ceiling}"


def _interval(interval: Interval, *, sign: str = "", places: int = 2) -> str:
    low, high = (f"{100 * bound:{sign}.{places}f}" for bound in interval)
    return f"[{low}, {high}]"
