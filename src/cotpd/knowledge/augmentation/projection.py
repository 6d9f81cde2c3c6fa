"""Gold spans carried over to changed words: by alignment of names, or by replacing one name everywhere."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from cotpd.core.records import Caption, Entity, Example, Relation, Span
from cotpd.core.splitting import Rule, split_words

Name = tuple[str, ...]
"""The words of a mention; without case where it is long enough (see `name_of`)."""

_LETTERS = 4


class UnusableVariantError(ValueError):
    """The reason for which a variant is rejected."""


def name_of(words: Iterable[str]) -> Name:
    """How a name is compared: without case from four letters on, for `us` is not `US`."""
    name = tuple(words)
    return tuple(word.casefold() for word in name) if len("".join(name)) >= _LETTERS else name


def words_in(text: str, rule: Rule) -> tuple[str, ...]:
    """The words of a text."""
    return tuple(word.text for word in split_words(text, rule))


def gold_spans(example: Example) -> list[Span]:
    """The spans of entities and of arguments of relations, each once, in order."""
    arguments = (span for relation in example.relations for span in (relation.head, relation.tail))
    return sorted({*(entity.span for entity in example.entities), *arguments})


def holds_name(example: Example, words: Sequence[str]) -> bool:
    """Whether one of an example's names stands among words."""
    return any(_places(words, name_of(example.words[span.start : span.end])) for span in gold_spans(example))


def project(parent: Example, words: Sequence[str], rule: Rule) -> Example:
    """The parent with other words, in which each of its names is marked wherever it occurs.

    Raises `UnusableVariantError`: ``name lost`` (a name is not there any more, or the two arguments of a relation fell
    together), ``ambiguous`` (the parent marks a name in two ways, or not everywhere).
    """
    spans, labels = defaultdict(list), defaultdict(set)
    for span in gold_spans(parent):
        spans[_name_at(parent, span, rule)].append(span)
    for entity in parent.entities:
        labels[_name_at(parent, entity.span, rule)].add(entity.label)
    for name, places in spans.items():
        in_parent = {name_of(parent.words[place.start : place.end]) for place in places}
        if sum(len(_places(parent.words, each)) for each in in_parent) != len(places) or len(labels[name]) > 1:
            raise UnusableVariantError("ambiguous")
    found = _find_all(words, spans)
    marked = [Entity(span, label) for name, names in labels.items() for label in names for span in found[name]]
    moved = {
        span: found[name][min(number, len(found[name]) - 1)]
        for name, places in spans.items()
        for number, span in enumerate(places)
    }
    entities = tuple(sorted(marked, key=lambda entity: entity.span))
    return replace(parent, words=tuple(words), entities=entities, relations=_moved_relations(parent, moved))


def replace_name(parent: Example, old: Span, new: Sequence[str]) -> Example:
    """The parent with another name wherever this one is marked, and in its caption.

    Raises `UnusableVariantError`: ``ambiguous`` (the parent marks the name in two ways), ``name remains`` (it also
    stands where it is not marked), ``overlap`` (another span begins or ends inside it).
    """
    name = name_of(parent.words[old.start : old.end])
    same = [each for each in parent.entities if name_of(parent.words[each.span.start : each.span.end]) == name]
    if len({entity.label for entity in same}) != 1:
        raise UnusableVariantError("ambiguous")
    edits = sorted(entity.span for entity in same)
    if edits != _places(parent.words, name):
        raise UnusableVariantError("name remains")
    words = list(parent.words)
    for edit in reversed(edits):
        words[edit.start : edit.end] = new
    moved = {span: _moved(span, edits, len(new)) for span in gold_spans(parent)}
    return replace(
        parent,
        words=tuple(words),
        entities=tuple(replace(entity, span=moved[entity.span]) for entity in parent.entities),
        relations=_moved_relations(parent, moved),
        caption=_renamed(parent.caption, parent.words_of(old), " ".join(new)),
    )


def _name_at(example: Example, span: Span, rule: Rule) -> Name:
    """The name at a span as it stands in a text that is split by the rule."""
    return name_of(words_in(example.words_of(span), rule))


def _places(words: Sequence[str], name: Name) -> list[Span]:
    """Where a name stands, also inside others."""
    size = len(name)
    starts = range(len(words) - size + 1)
    return [Span(start, start + size) for start in starts if name_of(words[start : start + size]) == name]


def _find_all(words: Sequence[str], names: Iterable[Name]) -> dict[Name, list[Span]]:
    """Where each name stands outside longer ones. Raises `UnusableVariantError` when one does not."""
    taken = [False] * len(words)
    found: dict[Name, list[Span]] = {}
    for name in sorted(names, key=len, reverse=True):
        found[name] = []
        for place in _places(words, name):
            if not any(taken[place.start : place.end]):
                taken[place.start : place.end] = [True] * len(name)
                found[name].append(place)
        if not found[name]:
            raise UnusableVariantError("name lost")
    return found


def _moved(span: Span, edits: Sequence[Span], size: int) -> Span:
    """A span after each edit has become ``size`` words."""
    if any(edit.start < border < edit.end for edit in edits for border in (span.start, span.end)):
        raise UnusableVariantError("overlap")
    start, end = (
        border + sum(size - (edit.end - edit.start) for edit in edits if edit.end <= border)
        for border in (span.start, span.end)
    )
    return Span(start, end)


def _moved_relations(parent: Example, moved: Mapping[Span, Span]) -> tuple[Relation, ...]:
    relations = [replace(each, head=moved[each.head], tail=moved[each.tail]) for each in parent.relations]
    if any(relation.head == relation.tail for relation in relations):
        raise UnusableVariantError("name lost")
    return tuple(relations)


def _renamed(caption: Caption | None, old: str, new: str) -> Caption | None:
    if caption is None:
        return None
    flags = re.IGNORECASE if len(old.replace(" ", "")) >= _LETTERS else re.NOFLAG
    return replace(caption, text=re.sub(rf"(?<!\w){re.escape(old)}(?!\w)", lambda _: new, caption.text, flags=flags))
