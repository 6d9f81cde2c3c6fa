"""Questions of augmentation and the parsing of their answers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from cotpd.core.records import Caption, Example, VariantKind
from cotpd.knowledge.augmentation.drafts import CorpusNames, Draft, fact_question
from cotpd.knowledge.augmentation.projection import (
    UnusableVariantError,
    has_gold_name,
    name_of,
    project,
    replace_name,
    words_in,
)
from cotpd.llm.answer_text import UnusableAnswerError, usable_lines, without_emphasis, without_markdown
from cotpd.llm.asking.session import Question
from cotpd.llm.language_model import Answer, Parameters, Request

IMAGINED = "imagined"
"""The captioner of a caption that does not describe a real image."""

_MAX_NAME_WORDS = 8
_MAX_GROWTH, _EXTRA_WORDS = 2, 10
_VERDICT = re.compile(r"\W*(yes|no)\b", re.IGNORECASE)
_TAG = re.compile(r"[#@] ?(\w+)")
_QUOTES = "\"'“”‘’«» "


def request_for(draft: Draft, names: CorpusNames, *, seed: int, answer_tokens: int | None = None) -> Request:
    """Return the request for a rewritten post, another name or a caption. Its result is an `Example`."""

    def parse(answer: Answer) -> Example:
        return parse_variant(draft, answer, names)

    parameters = draft.parameters.with_tokens(answer_tokens)
    return Question(draft, draft.question(seed), parameters, parse=parse).request


def request_for_verdict(draft: Draft, variant: Example, *, answer_tokens: int | None = None) -> Request:
    """Return the request whether a post with another name is factually possible. Its result is a bool."""
    parameters = Parameters(8).with_tokens(answer_tokens)
    return Question(draft, fact_question(variant.post), parameters, parse=parse_verdict).request


def parse_verdict(answer: Answer) -> bool:
    """Return True for yes and False for no. Raises `UnusableAnswerError` if the answer is neither."""
    verdict = _VERDICT.match(without_markdown(usable_lines(answer)[0]))
    if verdict is None:
        raise UnusableAnswerError("neither yes nor no")
    return verdict[1].lower() == "yes"


def parse_variant(draft: Draft, answer: Answer, names: CorpusNames) -> Example:
    """Return the variant in an answer, without its own id and origin.

    Raises:
        UnusableVariantError: With one of the reasons of `project` and `with_name`, ``cut`` (cut at the token limit),
            ``too much`` (much longer than the post), ``new tag`` (a #tag or @handle that the post lacks and that
            usually is an unlabelled name), ``other type`` (the corpus only has the new name with another type), or
            ``holds a name`` (a caption with a name from the post, which no captioner could know).
        UnusableAnswerError: With one of the reasons of `usable_lines`.
    """
    lines = _without_preamble(usable_lines(answer))
    if answer.finish_reason == "length":
        raise UnusableVariantError("cut")
    match draft.kind:
        case VariantKind.STYLE:
            words = words_in(" ".join(map(without_emphasis, lines)).strip(_QUOTES), names.rule)
            if len(words) > _MAX_GROWTH * len(draft.parent.words) + _EXTRA_WORDS:
                raise UnusableVariantError("too much")
            if _tags(words) - _tags(draft.parent.words):
                raise UnusableVariantError("new tag")
            return project(draft.parent, words, names.rule)
        case VariantKind.ENTITY:
            name = words_in(without_markdown(lines[0]).strip(_QUOTES + "."), names.rule)
            if draft.entity and names.has_only_other_types(name, draft.entity.label):
                raise UnusableVariantError("other type")
            return with_name(draft, name)
        case VariantKind.IMAGE:
            text = " ".join(map(without_markdown, lines)).strip(_QUOTES)
            if has_gold_name(draft.parent, words_in(text, names.rule)):
                raise UnusableVariantError("holds a name")
            return replace(draft.parent, caption=Caption("", text, IMAGINED), image_id=None)


def with_name(draft: Draft, name: Sequence[str] | None) -> Example:
    """Return the parent with another name for its entity, and without its image, which shows the old entity.

    Raises:
        UnusableVariantError: With one of the reasons of `replace_name`, ``no other name`` (``name`` is None),
            ``no name`` (too long, or without letters), or ``copy`` (the same name).
    """
    assert draft.entity
    old = draft.entity.span
    if name is None:
        raise UnusableVariantError("no other name")
    if not any(map(str.isalnum, "".join(name))) or len(name) > _MAX_NAME_WORDS:
        raise UnusableVariantError("no name")
    if name_of(name) == name_of(draft.parent.words[old.start : old.end]):
        raise UnusableVariantError("copy")
    return replace(replace_name(draft.parent, old, name), image_id=None)


def _without_preamble(lines: list[str]) -> list[str]:
    """Remove a first line such as "Here is the post:"."""
    return lines[1:] if len(lines) > 1 and without_emphasis(lines[0]).endswith(":") else lines


def _tags(words: Sequence[str]) -> set[str]:
    """Return the hashtags and handles in a text, whether or not the corpus splits them from their sign."""
    return {tag.casefold() for tag in _TAG.findall(" ".join(words))}
