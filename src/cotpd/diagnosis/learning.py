"""A student that has not learnt its task: looked for first, for of such a one all other figures say nothing."""

from __future__ import annotations

from collections.abc import Sequence

from cotpd.diagnosis.finding import Finding, Verdict, course
from cotpd.evaluation.table import percent

SIGNATURE = "the student has not learnt"

_LEAST = 0.3


def learning_finding(on_train: float, on_dev: float, losses: Sequence[float]) -> Finding:
    """The verdict on micro F1, from 0 to 1, of the view that ships; ``losses``: of the task, as training went."""
    return Finding(
        SIGNATURE,
        Verdict.FOUND if on_train < _LEAST else Verdict.ABSENT,
        means="A student that does not even know the labels of its training posts has nothing to align or to pass on; "
        "what else shows here follows from that.",
        rule=f"micro F1 on its own training posts is below {100 * _LEAST:.0f}",
        advice="train longer (optimisation.epochs) or with higher learning rates; check that student.encoder has "
        "pretrained weights of the posts' language, and the labels by `cotpd check`",
        figures=(
            ("F1 of the view that ships, training posts", percent(on_train)),
            ("F1 of the view that ships, these posts", percent(on_dev)),
            ("task loss, first and last tenth of training", course(losses)),
        ),
    )
