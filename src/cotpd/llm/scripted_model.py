"""A language model that answers by a function of yours: for tests and rehearsals."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cotpd.llm.language_model import Answer, Message


class ScriptedModel:
    """Answers each conversation with ``reply(messages)``; a text counts as an answer that ended by itself."""

    def __init__(self, reply: Callable[[Sequence[Message]], Answer | str], *, name: str = "scripted") -> None:
        self._reply = reply
        self._name = name

    @property
    def name(self) -> str:
        """The name given."""
        return self._name

    def answer(self, messages: Sequence[Message], *, max_tokens: int) -> Answer:
        """What ``reply`` says; ``max_tokens`` is left to it."""
        reply = self._reply(messages)
        return reply if isinstance(reply, Answer) else Answer(reply, model=self._name)
