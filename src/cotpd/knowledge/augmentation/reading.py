"""Answers to questions of augmentation: judged, and read as variants."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from cotpd.core.records import Caption, Example, VariantKind
from cotpd.knowledge.augmentation.drafts import CorpusNames, Draft, fact_question
from cotpd.knowledge.augmentation.projection import (
    UnusableVariantError,
    holds_name,
    name_of,
    project,
    replace_name,
    words_in,
)
from cotpd.llm.answer_text import UnusableAnswerError, spoken_lines, without_emphasis, without_markdown
from cotpd.llm.language_model import Answer, Parameters, Request

IMAGINED = "imagined"
"""The captioner of a caption that no image has."""

_LONGEST_NAME = 8
_GROWTH, _SLACK = 2, 10
_VERDICT = re.compile(r"\W*(yes|no)\b", re.IGNORECASE)
_TAG = re.compile(r"[#@] ?(\w+)")
_QUOTES = "\"'“”‘’«» "


def request_for(draft: Draft, names: CorpusNames, *, seed: int) -> Request:
    """The question for the rewritten post, another name, or a caption."""

    def judge(answer: Answer) -> str | None:
        try:
            read_variant(draft, answer, names)
        except (UnusableVariantError, UnusableAnswerError) as reason:
            return str(reason)
        return None

    return Request(draft.question(seed), draft.parameters, validate=judge, about=draft)


def request_for_verdict(draft: Draft, variant: Example) -> Request:
    """The question whether a post with another name is possible in fact."""

    def judge(answer: Answer) -> str | None:
        try:
            return None if _verdict(answer) else "neither yes nor no"
        except UnusableAnswerError as reason:
            return str(reason)

    return Request(fact_question(variant.post), Parameters(8), validate=judge, about=draft)


def is_possible(answer: Answer) -> bool:
    """Whether an answer to the fact question is yes."""
    return _verdict(answer) == "yes"


def read_variant(draft: Draft, answer: Answer, names: CorpusNames) -> Example:
    """The variant in an answer, without an id and origin of its own.

    Raises `UnusableVariantError`: ``cut``, ``too much`` (an answer far longer than the post), ``new tag`` (a #tag or
    @handle that the post lacks: most hold a name, which nobody has marked), ``other type`` (the corpus has the new
    name, but never of this type), ``holds a name`` (a picture of a name of the post: no captioner would know it), and
    what `project` and `with_name` raise; and `UnusableAnswerError`.
    """
    lines = _without_preamble(spoken_lines(answer))
    if answer.finish_reason == "length":
        raise UnusableVariantError("cut")
    match draft.kind:
        case VariantKind.STYLE:
            words = words_in(" ".join(map(without_emphasis, lines)).strip(_QUOTES), names.rule)
            if len(words) > _GROWTH * len(draft.parent.words) + _SLACK:
                raise UnusableVariantError("too much")
            if _tags(words) - _tags(draft.parent.words):
                raise UnusableVariantError("new tag")
            return project(draft.parent, words, names.rule)
        case VariantKind.ENTITY:
            name = words_in(without_markdown(lines[0]).strip(_QUOTES + "."), names.rule)
            if draft.entity and names.has_otherwise(name, draft.entity.label):
                raise UnusableVariantError("other type")
            return with_name(draft, name)
        case VariantKind.IMAGE:
            text = " ".join(map(without_markdown, lines)).strip(_QUOTES)
            if holds_name(draft.parent, words_in(text, names.rule)):
                raise UnusableVariantError("holds a name")
            return replace(draft.parent, caption=Caption("", text, IMAGINED), image_id=None)


def with_name(draft: Draft, name: Sequence[str] | None) -> Example:
    """The parent with another name for its entity; its image, which shows what it was, is left behind.

    Raises `UnusableVariantError`: ``no other name``, ``no name`` (nothing like one), ``copy`` (the same), and what
    `replace_name` raises.
    """
    assert draft.entity
    old = draft.entity.span
    if name is None:
        raise UnusableVariantError("no other name")
    if not any(map(str.isalnum, "".join(name))) or len(name) > _LONGEST_NAME:
        raise UnusableVariantError("no name")
    if name_of(name) == name_of(draft.parent.words[old.start : old.end]):
        raise UnusableVariantError("copy")
    return replace(replace_name(draft.parent, old, name), image_id=None)


def _without_preamble(lines: list[str]) -> list[str]:
    """The lines without a first one such as "Here is the post:"."""
    return lines[1:] if len(lines) > 1 and without_emphasis(lines[0]).endswith(":") else lines


def _tags(words: Sequence[str]) -> set[str]:
    """The tags and handles among words, however these are split."""
    return {tag.casefold() for tag in _TAG.findall(" ".join(words))}


def _verdict(answer: Answer) -> str:
    """``yes`` or ``no``, nothing where the answer says neither."""
    found = _VERDICT.match(without_markdown(spoken_lines(answer)[0]))
    return found[1].lower() if found else ""
