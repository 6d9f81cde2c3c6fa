"""A language model that answers by a function of yours: for tests and rehearsals."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cotpd.llm.language_model import Answer, Message, Request


class ScriptedModel:
    """Answers each conversation with ``reply(messages)``; a text counts as an answer that ended by itself.

    ``most_at_once``: how many requests ``reply`` may be given at once, each in a thread of its own.
    """

    endpoint = "script"

    def __init__(
        self, reply: Callable[[Sequence[Message]], Answer | str], *, name: str = "scripted", most_at_once: int = 1
    ) -> None:
        self._reply = reply
        self.name = name
        self.most_at_once = most_at_once

    def answer(self, request: Request) -> Answer:
        """What ``reply`` says; the parameters are left to it."""
        reply = self._reply(request.messages)
        return reply if isinstance(reply, Answer) else Answer(reply, model=self.name)
