"""Templates: versioned texts of questions to a language model, rendered from a `Post`."""

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
"""v1 and v2 ask for reasoning in steps; direct-v1 is a control that asks for the answer only."""
PAPER_WORDING = "paper-v0"
"""Zero-shot questions of one line, like those of arXiv 2306.14122: no system message, no delimiters."""

_PLACEHOLDERS = frozenset({"post", "caption", "mark"})
_HEADING = re.compile(rf"^\[({'|'.join(get_args(Role))})\]\n", re.MULTILINE)
_MARKUP = re.compile(
    r"<(?=\s*[/|｜!a-zA-Z])|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT)\])"
)
"""Our own delimiters and the control tokens of chat formats: ``<|im_end|>``, ``<｜User｜>``, ``[INST]``."""


@dataclass(frozen=True, slots=True)
class Template:
    """A question with sections ``[system]``, few-shot examples ``[user]`` and ``[assistant]``, and a last ``[user]``.

    Only the last section has placeholders: ``$post``, ``$caption`` and ``$mark``, an unpredictable part of the
    delimiters. The sections before are the same in every question, so that a model can cache them.

    Attributes:
        name: The name with its version, for example ``noun.v1``.
        preamble: The messages before the question.
        question: The text of the last section.
    """

    name: str
    preamble: tuple[Message, ...]
    question: str

    @classmethod
    def of(cls, grain: Grain, wording: str = WORDINGS[0]) -> Template:
        """Load the template of a grain in one of the `WORDINGS`."""
        return cls.load(f"{grain}.{wording}")

    @classmethod
    def load(cls, name: str, placeholders: Set[str] = _PLACEHOLDERS, *, package: str = "cotpd.knowledge") -> Template:
        """Load a template from the ``templates`` of a package. Raises `DataError` if it has none with this name."""
        file = resources.files(package) / "templates" / f"{name}.txt"
        if not file.is_file():
            raise DataError("no such template", where=name)
        return cls.parse(name, file.read_text("utf-8"), placeholders)

    @classmethod
    def parse(cls, name: str, text: str, placeholders: Set[str] = _PLACEHOLDERS) -> Template:
        """Parse the text of a template.

        Args:
            name: The name of the template.
            text: The sections.
            placeholders: The allowed placeholders. Templates of augmentation have others, for gold names and filled by
                `fill`; `render` never fills these.

        Raises:
            DataError: If a section or a placeholder is not allowed.
        """
        before, *parts = _HEADING.split(text)
        messages = [
            Message(cast(Role, role), content.strip()) for role, content in zip(parts[::2], parts[1::2], strict=True)
        ]
        if before.strip() or not messages or messages[-1].role != "user":
            raise DataError("a template must begin with a [section] and end with a [user] section", where=name)
        question = string.Template(messages[-1].content)
        if not question.is_valid() or not {"post"} <= set(question.get_identifiers()) <= placeholders:
            others = ", ".join(f"${other}" for other in sorted(placeholders - {"post"}))
            raise DataError(
                f"the last section must have $post, may have {others}, and must not have any other $", where=name
            )
        return cls(name, tuple(messages[:-1]), question.template)

    def render(self, post: Post) -> tuple[Message, ...]:
        """Return the messages of the question about a post, with markup removed from its text and caption."""
        caption = _without_markup(post.caption or "") or NO_CAPTION
        mark = hash_text(post.text, post.caption or "")[:8]
        return self._messages(post=_without_markup(post.text), caption=caption, mark=mark)

    def fill(self, **data: str) -> tuple[Message, ...]:
        """Return the messages of a question of augmentation, with markup removed from the values of placeholders."""
        return self._messages(
            mark=hash_text(*data.values())[:8], **{name: _without_markup(data[name]) for name in data}
        )

    def _messages(self, **values: str) -> tuple[Message, ...]:
        return (*self.preamble, Message("user", string.Template(self.question).substitute(values)))


def _without_markup(text: str) -> str:
    """Return one line without delimiters and control tokens."""
    return _MARKUP.sub("‹", " ".join(text.split()))
