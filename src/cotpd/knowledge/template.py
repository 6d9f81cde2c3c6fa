"""A template: the versioned text of a question to a language model, rendered from a `Post` alone."""

from __future__ import annotations

import re
import string
from collections.abc import Set
from dataclasses import dataclass
from importlib import resources
from typing import cast, get_args

from cotpd.core.errors import DataError
from cotpd.core.files import hash_text
from cotpd.core.records import Grain, Post
from cotpd.llm.language_model import Message, Role

NO_CAPTION = "(no picture)"
WORDINGS = ("v1", "v2", "direct-v1")
"""Two wordings that ask for reasoning in steps, and a control that asks for the answer alone."""
PAPER_WORDING = "paper-v0"
"""Zero-shot questions of one line, shaped like those of arXiv 2306.14122; no system message, no delimiters."""

_PLACEHOLDERS = frozenset({"post", "caption", "mark"})
_HEADING = re.compile(rf"^\[({'|'.join(get_args(Role))})\]\n", re.MULTILINE)
_MARKUP = re.compile(
    r"<(?=\s*[/|｜!a-zA-Z])|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT)\])"
)
"""Delimiters of ours, and the marks of chat formats: ``<|im_end|>``, ``<｜User｜>``, ``[INST]``."""


@dataclass(frozen=True, slots=True)
class Template:
    """A question in sections ``[system]``, worked examples ``[user]`` and ``[assistant]``, and a last ``[user]``.

    Only the last section holds placeholders: ``$post``, ``$caption``, and ``$mark``, which a post cannot foresee, for
    its delimiters. What comes before it is the same in every question, so that a model's prompt cache serves it.
    ``name`` carries the version: ``noun.v1``.
    """

    name: str
    preamble: tuple[Message, ...]
    question: str

    @classmethod
    def of(cls, grain: Grain, wording: str = WORDINGS[0]) -> Template:
        """The template of a grain in one of the `WORDINGS`."""
        return cls.load(f"{grain}.{wording}")

    @classmethod
    def load(cls, name: str, placeholders: Set[str] = _PLACEHOLDERS) -> Template:
        """The template of this name among ours. Raises `DataError` when there is none."""
        file = resources.files("cotpd.knowledge") / "templates" / f"{name}.txt"
        if not file.is_file():
            raise DataError("there is no such template", where=name)
        return cls.parse(name, file.read_text("utf-8"), placeholders)

    @classmethod
    def parse(cls, name: str, text: str, placeholders: Set[str] = _PLACEHOLDERS) -> Template:
        """A template from its text. Raises `DataError` for other sections or placeholders than the ones above.

        Other ``placeholders`` are for augmentation, whose questions may name gold mentions; `render` fills none.
        """
        before, *parts = _HEADING.split(text)
        messages = [
            Message(cast(Role, role), content.strip()) for role, content in zip(parts[::2], parts[1::2], strict=True)
        ]
        if before.strip() or not messages or messages[-1].role != "user":
            raise DataError("a template begins with a [section] and ends with a [user] section", where=name)
        question = string.Template(messages[-1].content)
        if not question.is_valid() or not {"post"} <= set(question.get_identifiers()) <= placeholders:
            others = ", ".join(f"${other}" for other in sorted(placeholders - {"post"}))
            raise DataError(f"the last section needs $post, may hold {others}, and no other $", where=name)
        return cls(name, tuple(messages[:-1]), question.template)

    def render(self, post: Post) -> tuple[Message, ...]:
        """The messages of the question about a post: its text and caption are data, without markup of their own."""
        caption = _as_data(post.caption or "") or NO_CAPTION
        mark = hash_text(post.text, post.caption or "")[:8]
        return self._messages(post=_as_data(post.text), caption=caption, mark=mark)

    def fill(self, **data: str) -> tuple[Message, ...]:
        """The messages of a question of augmentation: each placeholder filled by data, without markup of its own."""
        return self._messages(mark=hash_text(*data.values())[:8], **{name: _as_data(data[name]) for name in data})

    def _messages(self, **values: str) -> tuple[Message, ...]:
        return (*self.preamble, Message("user", string.Template(self.question).substitute(values)))


def _as_data(text: str) -> str:
    """One line in which nothing can pass for a delimiter of ours or a control mark of a chat format."""
    return _MARKUP.sub("‹", " ".join(text.split()))
