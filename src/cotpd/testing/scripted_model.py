"""A language model whose answers come from a Python function, for tests and dry runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cotpd.llm.language_model import Answer, Message, Request


class ScriptedModel:
    """A `LanguageModel` that answers with a function.

    Args:
        reply: Called with the messages of a request. Returns an `Answer`, or its text.
        name: Name of the model.
        most_at_once: Maximum number of concurrent calls of ``reply``; above 1 it is called from several threads.
    """

    endpoint = "script"

    def __init__(
        self, reply: Callable[[Sequence[Message]], Answer | str], *, name: str = "scripted", most_at_once: int = 1
    ) -> None:
        self._reply = reply
        self.name = name
        self.most_at_once = most_at_once

    def answer(self, request: Request) -> Answer:
        """Return what ``reply`` returns for the messages; the parameters of the request are ignored."""
        reply = self._reply(request.messages)
        return reply if isinstance(reply, Answer) else Answer(reply, model=self.name)
