"""Unused knowledge: the knowledge-enhanced view scores as well with the knowledge of another post."""

from __future__ import annotations

from cotpd.diagnosis.finding import Finding, FindingVerdict, format_difference
from cotpd.evaluation import Comparison
from cotpd.evaluation.table import percent

UNUSED_KNOWLEDGE = "the knowledge is not used"

_ADVICE = (
    "read some of the knowledge (`cotpd show`, `cotpd check --answers`), use another captioner or language model, "
    "raise views.knowledge_pieces if much of it is cut, or train longer"
)


def knowledge_finding(own_vs_other: Comparison, corruption: str) -> Finding:
    """Judge whether the knowledge-enhanced view uses the knowledge.

    Args:
        own_vs_other: F1 with each post's own knowledge against F1 with the knowledge of another post.
        corruption: The corruption of the knowledge in the training set, or ``none``.
    """
    is_control = corruption != "none"
    return Finding(
        UNUSED_KNOWLEDGE,
        FindingVerdict.FOUND if own_vs_other.interval.low <= 0 else FindingVerdict.ABSENT,
        meaning="If the view scores as well with the captions and knowledge of another post, it does not use their "
        "content and cannot teach more than the text view. The other findings may follow from this one.",
        rule="F1 with a post's own knowledge is not significantly above F1 with the knowledge of another post (the "
        "interval of the difference reaches 0); with few posts, only large differences are significant",
        advice=f"this run is a control with {corruption} knowledge; train without corruption"
        if is_control
        else _ADVICE,
        figures=(
            ("F1 of the knowledge view, own knowledge", percent(own_vs_other.first)),
            ("F1 of the knowledge view, another post's knowledge", percent(own_vs_other.second)),
            ("difference, 95 % interval", format_difference(own_vs_other)),
            *((("corruption of the training knowledge", corruption),) if is_control else ()),
        ),
    )
