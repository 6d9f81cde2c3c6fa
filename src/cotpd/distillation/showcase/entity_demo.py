"""The demonstration of entities on texts that are not in the sample corpus."""

from __future__ import annotations

from cotpd.inference.extractor import Extraction, Extractor
from cotpd.student.student import Student

_TEXTS = (
    "nobody told me Orlando could sing?? he did two songs at the Harbour Inn, wow",
    "Snow closes the A9 north of Perth tonight, says Transport Scotland",
    "Our Maya got into Trinity!! Dublin here we come 🇮🇪",
    "Still thinking about that last scene in Paper Lanterns… give Ines Duarte every award",
    "apple pie for breakfast because it is Sunday and i am an adult",
)


def extract_entities(student: Student) -> tuple[Extraction, ...]:
    """Return the entities of a few new texts."""
    return tuple(Extractor(student)(list(_TEXTS)))
