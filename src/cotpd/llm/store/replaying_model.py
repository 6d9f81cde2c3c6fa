"""A language model that repeats the answers in a request store."""

from __future__ import annotations

from cotpd.llm.call_error import CallError, Fault
from cotpd.llm.language_model import Answer, Request
from cotpd.llm.store.request_store import RequestStore


class ReplayingModel:
    """Stands for the model ``name`` at ``endpoint`` and gives the answers that the store has: a run without cost."""

    most_at_once = 1

    def __init__(self, store: RequestStore, *, name: str, endpoint: str) -> None:
        self._store = store
        self.name = name
        self.endpoint = endpoint

    def answer(self, request: Request) -> Answer:
        """Return the stored answer.

        Raises:
            CallError: If the store has no answer.
        """
        stored = self._store.find(request.key(self.endpoint, self.name))
        if stored is None:
            raise CallError(f"the store has no answer of {self.name} to this question", Fault.NOT_RECORDED)
        return stored.answer
