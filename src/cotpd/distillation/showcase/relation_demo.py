"""The demonstration of relations on texts that are not in the sample corpus."""

from __future__ import annotations

from cotpd.inference.marked_text import MarkedText
from cotpd.inference.relation_extractor import RelationExtraction, RelationExtractor
from cotpd.student.student import Student

_TEXTS = (
    ("Snow closes the A9 north of Perth tonight, says Transport Scotland", ("A9", "Perth", "Transport Scotland")),
    ("Our Maya got into Trinity!! Dublin here we come 🇮🇪", ("Maya", "Trinity", "Dublin")),
    ("Ines Duarte is so good in Paper Lanterns, give her every award", ("Ines Duarte", "Paper Lanterns")),
    ("nobody told me Orlando could sing?? he did two songs at the Harbour Inn, wow", ("Orlando", "Harbour Inn")),
    ("met Ana for lunch, then Tom rang from Porto, Portugal", ("Ana", "Tom", "Porto", "Portugal")),
)
"""Texts with their entities. The student classifies all ordered pairs of them."""


def extract_relations(student: Student) -> tuple[RelationExtraction, ...]:
    """Return the relations between the marked entities of a few new texts."""
    return tuple(RelationExtractor(student)([_mark(text, names) for text, names in _TEXTS]))


def _mark(text: str, names: tuple[str, ...]) -> MarkedText:
    starts = [text.index(name) for name in names]
    return MarkedText(
        text, entities=tuple((start, start + len(name)) for start, name in zip(starts, names, strict=True))
    )
