"""Failed learning: the student has not learned its task, so all other figures are meaningless."""

from __future__ import annotations

from collections.abc import Sequence

from cotpd.diagnosis.finding import Finding, FindingVerdict, format_course
from cotpd.evaluation.table import percent

NOT_LEARNED = "the student has not learned its task"

_MIN_TRAINING_F1 = 0.3


def learning_finding(on_train: float, on_held_out: float, losses: Sequence[float]) -> Finding:
    """Judge whether the student has learned its task.

    Args:
        on_train: Micro F1 of the deployed view on training examples, from 0 to 1.
        on_held_out: The same on the examined examples.
        losses: The task losses in the order of training.
    """
    return Finding(
        NOT_LEARNED,
        FindingVerdict.FOUND if on_train < _MIN_TRAINING_F1 else FindingVerdict.ABSENT,
        meaning="A student that cannot predict the labels of its own training examples has nothing to align or "
        "transfer. The other findings may follow from this one.",
        rule=f"micro F1 on its own training examples is below {100 * _MIN_TRAINING_F1:.0f}",
        advice="train longer (optimisation.epochs) or with a higher learning rate; make sure that student.encoder has "
        "pretrained weights for the language of the posts, and check the labels with `cotpd check`",
        figures=(
            ("F1 of the deployed view, training examples", percent(on_train)),
            ("F1 of the deployed view, examined examples", percent(on_held_out)),
            ("task loss, first and last tenth of training", format_course(losses)),
        ),
    )
