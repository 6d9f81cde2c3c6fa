"""The view in which a run is scored."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Literal, NamedTuple, get_args

from cotpd.core.config import Part
from cotpd.core.records import Example

_FORM = re.compile(r"(text|prompt|knowledge)(?: without ((?:caption|noun|sentence|multimodality)(?:, ?\w+)*))?")


class ScoredView(NamedTuple):
    """A view, optionally without some parts of the knowledge, such as ``knowledge without caption``."""

    kind: Literal["text", "prompt", "knowledge"]
    without: tuple[Part, ...] = ()

    def __str__(self) -> str:
        return self.kind + (f" without {', '.join(self.without)}" if self.without else "")

    @classmethod
    def parse(cls, text: str) -> ScoredView:
        """Parse ``text``, ``prompt``, ``knowledge`` or ``knowledge without PART, PART``.

        Raises:
            ValueError: If the text has another form or names an unknown part.
        """
        match = _FORM.fullmatch(text)
        parts = tuple(re.split(", ?", match[2])) if match and match[2] else ()
        known: tuple[Part, ...] = get_args(Part)
        if match is None or (parts and match[1] != "knowledge") or not set(known).issuperset(parts):
            raise ValueError(
                f"{text!r} is not a view; write text, prompt, knowledge or 'knowledge without caption, noun'"
            )
        return cls(match[1], tuple(part for part in known if part in parts))  # type: ignore[arg-type]

    def select(self, examples: Iterable[Example]) -> tuple[Example, ...]:
        """Remove from each example the caption and the knowledge that this view does not read."""
        if self.kind != "knowledge":
            return tuple(replace(example, caption=None, knowledge=()) for example in examples)
        return tuple(
            replace(
                example,
                caption=None if "caption" in self.without else example.caption,
                knowledge=tuple(answer for answer in example.knowledge if answer.grain not in self.without),
            )
            for example in examples
        )
