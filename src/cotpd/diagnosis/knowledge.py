"""Knowledge that is worth nothing: its reader does as well with another post's, and has nothing to pass on."""

from __future__ import annotations

from cotpd.diagnosis.finding import Finding, Verdict, difference
from cotpd.evaluation import Comparison
from cotpd.evaluation.table import percent

SIGNATURE = "the knowledge is worth nothing"

_ADVICE = (
    "look at what the knowledge says (`cotpd show`, `cotpd check --answers`), ask another captioner or language model, "
    "raise views.knowledge_pieces where much is cut, or train longer"
)


def knowledge_finding(own_over_others: Comparison, corruption: str) -> Finding:
    """The verdict on a reader of knowledge: F1 with each post's own against F1 with another's.

    ``corruption``: what was done to the knowledge of the training posts.
    """
    damaged = corruption != "none"
    return Finding(
        SIGNATURE,
        Verdict.FOUND if own_over_others.interval.low <= 0 else Verdict.ABSENT,
        means="A reader that does as well with another post's captions and knowledge does not use what they say, and "
        "can teach no more than a reader of text; what else shows here may follow from that.",
        rule="F1 with a post's own knowledge is not above F1 with another post's, the interval of the difference not "
        "above 0; few posts show great differences alone",
        advice=f"this run is a control, data.corruption = '{corruption}': train it without" if damaged else _ADVICE,
        figures=(
            ("F1 of the reader, a post's own knowledge", percent(own_over_others.first)),
            ("F1 of the reader, another post's knowledge", percent(own_over_others.second)),
            ("difference, 95 % interval", difference(own_over_others)),
            *((("the knowledge of the training posts", corruption),) if damaged else ()),
        ),
    )
