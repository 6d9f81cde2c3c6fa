"""What the library asks of a language model: messages in, one answer out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a language model said.

    ``finish_reason``: ``stop``, ``length`` (cut at ``max_tokens``), ``too_long`` (the question did not fit the
    model's context and was not answered) or what else the server says. ``model``: who answered, by its own account.
    """

    text: str
    finish_reason: str = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    model: str = ""


class LanguageModel(Protocol):
    """A provider of knowledge."""

    @property
    def name(self) -> str:
        """The name under which its answers are kept."""
        ...

    def answer(self, messages: Sequence[Message], *, max_tokens: int) -> Answer:
        """The most likely answer, of at most ``max_tokens`` tokens. Raises `LanguageModelError` if there is none."""
        ...
