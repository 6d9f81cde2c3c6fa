"""One way of writing what corpora write in several ways, for runs across domains: types, ``# tag`` and ``@ name``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import accumulate

from cotpd.core.records import Example, Span
from cotpd.corpus.formats.parsing.offsets import spans_of


def normalise(example: Example, label_map: Mapping[str, str] | None = None) -> Example:
    """The example with its entity types renamed and its tags and names as single words; spans move along.

    A ``#`` or ``@`` and the word behind it become one word, as in Twitter-2015 (``#tag``, ``@name``), where that word
    begins with a letter or digit and no entity or argument of a relation ends between them. Twitter-2015 divides names
    at ``_``, which stays so: where a name ends cannot be told.
    """
    names = label_map or {}
    ends = {span.end for span in spans_of(example)}
    joins = [number not in ends and _joins(example, number) for number in range(len(example.words))]
    places = list(accumulate((not join for join in joins), initial=-1))[1:]
    words = [""] * (places[-1] + 1 if places else 0)
    for place, word in zip(places, example.words, strict=True):
        words[place] += word

    def moved(span: Span) -> Span:
        return Span(places[span.start], places[span.end - 1] + 1)

    return replace(
        example,
        words=tuple(words),
        entities=tuple(replace(e, span=moved(e.span), label=names.get(e.label, e.label)) for e in example.entities),
        relations=tuple(replace(r, head=moved(r.head), tail=moved(r.tail)) for r in example.relations),
    )


def _joins(example: Example, number: int) -> bool:
    """Whether a word belongs to the ``#`` or ``@`` before it."""
    return number > 0 and example.words[number - 1] in ("#", "@") and example.words[number][:1].isalnum()
