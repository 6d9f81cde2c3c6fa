"""A student trained on two views that reads knowledge worse than a run trained on the knowledge-enhanced view."""

from __future__ import annotations

from cotpd.diagnosis.finding import Finding, FindingVerdict, format_difference
from cotpd.evaluation import Comparison
from cotpd.evaluation.table import percent

WORSE_KNOWLEDGE_VIEW = "the knowledge view got worse"


def multimodal_inputs_finding(comparison: Comparison) -> Finding:
    """Judge the knowledge-enhanced view of this run against that of a run trained on this view only."""
    return Finding(
        WORSE_KNOWLEDGE_VIEW,
        FindingVerdict.FOUND if comparison.interval.high < 0 else FindingVerdict.ABSENT,
        meaning="A student trained on two views may read knowledge worse than a run trained on the knowledge-enhanced "
        "view only, and then has less to transfer.",
        rule="the knowledge-enhanced view is significantly worse than that of a run trained on this view only (the "
        "interval of the difference lies below 0)",
        advice="train in two stages: first a run with the knowledge-enhanced view only, then a student with "
        "objective.target = 'recorded' and that run in objective.target_runs; or set objective.task_loss = 'target', "
        "or lower objective.weight",
        figures=(
            ("F1 of the knowledge-enhanced view, this run", percent(comparison.first)),
            ("F1 of the knowledge-enhanced view, the other run", percent(comparison.second)),
            ("difference, 95 % interval", format_difference(comparison)),
        ),
    )
