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
    "figure could change with other seeds and other posts from the same source.",
    f"The intervals come from {RESAMPLES:,} bootstrap samples of posts (seed 0), which are the same for all runs, and "
    "from Student's t with n − 1 degrees of freedom for n seeds. Runs with the same seed are paired. A single seed "
    "shows nothing about other seeds.",
    "A side is ahead or behind if the interval lies on one side of 0 and p (two-sided, from the same samples) is at "
    "most 0.05 after Holm's correction for all comparisons of the plan that are not descriptive. undecided means that "
    "no difference was shown, which does not show that there is none. described means that the plan sets "
    "descriptive = true, so there is no verdict.",
    "The gap closed is (run − baseline) / (ceiling − baseline). It has no interval if the interval of "
    "(ceiling − baseline) includes 0.",
)
"""How the figures are computed, in paragraphs."""


def headline(result: ComparisonResult) -> list[str]:
    """Summarise a comparison: its lead, interval, p-value, data and the gap closed."""
    corrected = None if result.p_holm is None else f"p = {result.p_holm:.4f} after Holm's correction"
    parts = [
        f"{100 * result.lead:+.2f} F1",
        f"95 % interval {_interval(result.interval, sign='+')}",
        corrected or f"p = {result.p_value:.4f}, not corrected",
        f"{result.num_seeds} {'seed' if result.num_seeds == 1 else 'seeds'}, {result.num_posts:,} posts of {result.on}",
    ]
    if result.gap_closed:
        parts.append(f"gap closed: {_gap_closed(result)}")
    return parts


def progress_summary(results: Results) -> str:
    """Summarise how many runs are finished, and the verdicts of the comparisons."""
    sentences = [f"{results.num_finished} of {results.num_runs} runs finished."]
    if results.failures:
        sentences.append(f"Failures: {len(results.failures)}; the figures that need them are missing.")
    if results.unfinished:
        sentences.append("The figures do not include unfinished runs.")
    counts = Counter(verdict_of(result) for result in results.compared)
    verdicts = ", ".join(f"{counts[verdict]} {verdict.value}" for verdict in ComparisonVerdict if counts[verdict])
    if results.compared:
        sentences.append(f"Comparisons: {verdicts}.")
    else:
        sentences.append("The plan has no comparisons, so the figures below are only descriptive.")
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


def comparison_cells(result: ComparisonResult) -> tuple[str, ...]:
    """Return the cells of a row of comparisons, under `COMPARISON_HEADER`."""
    return (
        result.name,
        verdict_of(result).value,
        result.on,
        f"{100 * result.lead:+.2f}",
        _interval(result.interval, sign="+"),
        f"{result.p_value:.4f}",
        "–" if result.p_holm is None else f"{result.p_holm:.4f}",
        str(result.num_seeds),
        _gap_closed(result),
    )


def by_training_table(rows: Sequence[ScoreRow]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return header and rows of the scores by occurrence in the training set. Runs with a single group have no row."""
    groups = tuple(dict.fromkeys(group for row in rows for group in row.by_training))
    cells = [
        (row.run, row.view, *(_group_score(row.by_training.get(group)) for group in groups))
        for row in rows
        if len(row.by_training) > 1
    ]
    return ("run", "view", *groups), cells


def _group_score(score: EntityGroupScore | None) -> str:
    return f"{percent(score.f1)} ({score.support:,.0f})" if score else "–"


def _gap_closed(result: ComparisonResult) -> str:
    gap = result.gap_closed
    if gap is None:
        return ""
    if gap.share is None:
        return f"none, because {result.ceiling} is no higher than the baseline"
    if gap.interval is None:
        return f"{100 * gap.share:.0f} % of {result.ceiling}, which may be no higher than the baseline"
    return f"{100 * gap.share:.0f} % {_interval(gap.interval, places=0)} of {result.ceiling}"


def _interval(interval: Interval, *, sign: str = "", places: int = 2) -> str:
    low, high = (f"{100 * bound:{sign}.{places}f}" for bound in interval)
    return f"[{low}, {high}]"
