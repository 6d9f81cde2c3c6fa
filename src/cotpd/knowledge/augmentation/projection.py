"""Transfer of gold spans to changed words: find the names again, or replace one name everywhere."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from cotpd.core.records import Caption, Entity, Example, Span
from cotpd.core.splitting import Rule, split_words
from cotpd.core.tasks import ANNOTATIONS
from cotpd.llm.answer_text import UnusableAnswerError

Name = tuple[str, ...]
"""The words of a mention, case-folded if it is long enough (see `name_of`)."""

_MIN_FOLDED_LETTERS = 4


class UnusableVariantError(UnusableAnswerError):
    """Raised for a variant that cannot be kept; the message is the reason."""


def name_of(words: Iterable[str]) -> Name:
    """Return the form in which names are compared: case-folded from four letters on, because `us` is not `US`."""
    name = tuple(words)
    return tuple(word.casefold() for word in name) if len("".join(name)) >= _MIN_FOLDED_LETTERS else name


def words_in(text: str, rule: Rule) -> tuple[str, ...]:
    """Split a text into words."""
    return tuple(word.text for word in split_words(text, rule))


def gold_spans(example: Example) -> list[Span]:
    """Return the distinct spans of the annotations of every task, sorted."""
    return sorted({span for annotation in example.annotations for span in annotation.spans})


def has_gold_name(example: Example, words: Sequence[str]) -> bool:
    """Return True if ``words`` contain one of the gold names of an example."""
    return any(_occurrences(words, name_of(example.words[span.start : span.end])) for span in gold_spans(example))


def project(parent: Example, words: Sequence[str], rule: Rule) -> Example:
    """Return the parent with other words, in which every occurrence of its names is labelled.

    Raises:
        UnusableVariantError: With the reason ``name lost`` (a name is missing, or both arguments of a relation are now
            the same span) or ``ambiguous`` (the parent labels a name in two ways, or not everywhere).
    """
    spans, labels = defaultdict(list), defaultdict(set)
    for span in gold_spans(parent):
        spans[_name_at(parent, span, rule)].append(span)
    for entity in parent.entities:
        labels[_name_at(parent, entity.span, rule)].add(entity.label)
    for name, places in spans.items():
        in_parent = {name_of(parent.words[place.start : place.end]) for place in places}
        num_occurrences = sum(len(_occurrences(parent.words, each)) for each in in_parent)
        if num_occurrences != len(places) or len(labels[name]) > 1:
            raise UnusableVariantError("ambiguous")
    new_spans = _find_all(words, spans)
    marked = [Entity(span, label) for name, names in labels.items() for label in names for span in new_spans[name]]
    moved = {
        span: new_spans[name][min(number, len(new_spans[name]) - 1)]
        for name, places in spans.items()
        for number, span in enumerate(places)
    }
    entities = tuple(sorted(marked, key=lambda entity: entity.span))
    return replace(_move_annotations(parent, moved), words=tuple(words), entities=entities)


def replace_name(parent: Example, old: Span, new: Sequence[str]) -> Example:
    """Return the parent with another name wherever the name at ``old`` is labelled, and in its caption.

    Raises:
        UnusableVariantError: With the reason ``ambiguous`` (the parent labels the name in two ways), ``name remains``
            (the name also occurs without a label), or ``overlap`` (another span begins or ends inside the name).
    """
    name = name_of(parent.words[old.start : old.end])
    same = [each for each in parent.entities if name_of(parent.words[each.span.start : each.span.end]) == name]
    if len({entity.label for entity in same}) != 1:
        raise UnusableVariantError("ambiguous")
    edits = sorted(entity.span for entity in same)
    if edits != _occurrences(parent.words, name):
        raise UnusableVariantError("name remains")
    words = list(parent.words)
    for edit in reversed(edits):
        words[edit.start : edit.end] = new
    moved = {span: _move(span, edits, len(new)) for span in gold_spans(parent)}
    return replace(
        _move_annotations(parent, moved),
        words=tuple(words),
        caption=_rename_in_caption(parent.caption, parent.words_of(old), " ".join(new)),
    )


def _name_at(example: Example, span: Span, rule: Rule) -> Name:
    """Return the name at a span as it is written in a text that ``rule`` splits."""
    return name_of(words_in(example.words_of(span), rule))


def _occurrences(words: Sequence[str], name: Name) -> list[Span]:
    """Return every occurrence of a name, also inside other names."""
    size = len(name)
    starts = range(len(words) - size + 1)
    return [Span(start, start + size) for start in starts if name_of(words[start : start + size]) == name]


def _find_all(words: Sequence[str], names: Iterable[Name]) -> dict[Name, list[Span]]:
    """Return the occurrences of each name outside longer names. Raises `UnusableVariantError` if one is missing."""
    taken = [False] * len(words)
    spans: dict[Name, list[Span]] = {}
    for name in sorted(names, key=len, reverse=True):
        spans[name] = []
        for place in _occurrences(words, name):
            if not any(taken[place.start : place.end]):
                taken[place.start : place.end] = [True] * len(name)
                spans[name].append(place)
        if not spans[name]:
            raise UnusableVariantError("name lost")
    return spans


def _move(span: Span, edits: Sequence[Span], size: int) -> Span:
    """Return a span after each edit has become ``size`` words."""
    if any(edit.start < border < edit.end for edit in edits for border in (span.start, span.end)):
        raise UnusableVariantError("overlap")
    start, end = (
        border + sum(size - (edit.end - edit.start) for edit in edits if edit.end <= border)
        for border in (span.start, span.end)
    )
    return Span(start, end)


def _move_annotations(parent: Example, moved: Mapping[Span, Span]) -> Example:
    """Return the parent with the annotations of every task at their new spans; its words are not changed."""
    variant = parent
    for task in ANNOTATIONS.values():
        annotations = [annotation.moved(moved.__getitem__) for annotation in task.of(parent)]
        if any(len(set(annotation.spans)) < len(annotation.spans) for annotation in annotations):
            raise UnusableVariantError("name lost")
        variant = task.replaced(variant, annotations)
    return variant


def _rename_in_caption(caption: Caption | None, old: str, new: str) -> Caption | None:
    if caption is None:
        return None
    flags = re.IGNORECASE if len(old.replace(" ", "")) >= _MIN_FOLDED_LETTERS else re.NOFLAG
    return replace(caption, text=re.sub(rf"(?<!\w){re.escape(old)}(?!\w)", lambda _: new, caption.text, flags=flags))
